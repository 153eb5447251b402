/* libFuzzer around an embedded Python: calls tests.fuzz.harness.TARGETS[$FUZZ_TARGET] with every input. The compiled
 * modules are built with -fsanitize=fuzzer-no-link,address,undefined, so that their coverage leads the fuzzer.
 * An exception or a sanitizer's finding aborts, and libFuzzer writes the input down. Built and run by tests/fuzz/run.sh.
 *
 * Leaks count from the first input on: what the interpreter and libraries keep of their own loading is kept once. Nothing
 * is finalised at the end: then all that Python still has can be reached, and the rest is a leak. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <sanitizer/lsan_interface.h>
#include <stdint.h>
#include <stdlib.h>

static PyObject *target = NULL;
static int planted = 0; /* FUZZ_PLANTED_LEAK: every input loses some bytes, to see that it is found */

static void give_up(const char *what) {
    fprintf(stderr, "fuzz: %s\n", what);
    if (PyErr_Occurred()) PyErr_Print();
    abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    const char *name = getenv("FUZZ_TARGET");
    __lsan_disable();
    Py_Initialize();
    PyObject *harness = PyImport_ImportModule("tests.fuzz.harness");
    if (harness == NULL) give_up("the harness cannot be imported");
    PyObject *targets = PyObject_GetAttrString(harness, "TARGETS");
    target = targets ? PyMapping_GetItemString(targets, name ? name : "decode") : NULL;
    if (target == NULL) give_up("no such target in FUZZ_TARGET");
    planted = getenv("FUZZ_PLANTED_LEAK") != NULL;
    __lsan_enable();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    PyObject *result = PyObject_CallFunction(target, "y#", (const char *)data, (Py_ssize_t)size);
    if (result == NULL) give_up("an exception");
    Py_DECREF(result);
    if (planted) {
        void *volatile lost = malloc(size + 1);
        lost = NULL;
        (void)lost;
    }
    return 0;
}
