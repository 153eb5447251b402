"""Foreign Modbus in C: programs on libmodbus, which shares no code with ours, compiled where a test needs them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SERVER_C = r"""
/* A PLC on libmodbus. Lines on stdin set holding registers: "ADDRESS VALUE ..."; "? ADDRESS" prints one. */
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>

static void command(modbus_mapping_t *map, char *line) {
    char *word = strtok(line, " \n");
    if (word == NULL) return;
    if (word[0] == '?') {
        printf("%d\n", map->tab_registers[atoi(strtok(NULL, " \n"))]);
        fflush(stdout);
        return;
    }
    for (int at = atoi(word); (word = strtok(NULL, " \n")) != NULL; at++) map->tab_registers[at] = atoi(word);
}

int main(int argc, char **argv) {
    modbus_t *context = modbus_new_tcp("127.0.0.1", atoi(argv[1]));
    modbus_mapping_t *map = modbus_mapping_new(64, 64, 200, 64);
    int listener = modbus_tcp_listen(context, 8);
    if (argc < 2 || map == NULL || listener < 0) return 1;
    fd_set known;
    FD_ZERO(&known);
    FD_SET(listener, &known);
    FD_SET(STDIN_FILENO, &known);
    int top = listener;
    for (;;) {
        fd_set ready = known;
        if (select(top + 1, &ready, NULL, NULL, NULL) < 0) return 1;
        for (int fd = 0; fd <= top; fd++) {
            if (!FD_ISSET(fd, &ready)) continue;
            if (fd == STDIN_FILENO) {
                char line[1024];
                ssize_t got = read(fd, line, sizeof line - 1);
                if (got <= 0) return 0;
                line[got] = 0;
                command(map, line);
            } else if (fd == listener) {
                int peer = listener;
                modbus_tcp_accept(context, &peer);
                peer = modbus_get_socket(context);
                FD_SET(peer, &known);
                if (peer > top) top = peer;
            } else {
                uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
                modbus_set_socket(context, fd);
                int length = modbus_receive(context, query);
                if (length > 0) modbus_reply(context, query, length, map);
                else if (length < 0) { close(fd); FD_CLR(fd, &known); }
            }
        }
    }
}
"""

RTU_SERVER_C = r"""
/* A scale on libmodbus, slave of a serial line. usage: DEVICE SLAVE. Registers as in tests/modbus_floor.py: at every
   second request its weight is stable, and after it the next one weighs more. */
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    if (argc < 3) return 1;
    modbus_t *context = modbus_new_rtu(argv[1], 115200, 'E', 8, 1);
    modbus_mapping_t *map = modbus_mapping_new(0, 0, 64, 0);
    if (map == NULL || modbus_set_slave(context, atoi(argv[2])) || modbus_connect(context)) return 1;
    const char *lu = "SERIAL\0";
    for (int at = 0; at < 4; at++) map->tab_registers[13 + at] = (uint8_t)lu[2 * at] << 8 | (uint8_t)lu[2 * at + 1];
    for (;;) {
        uint8_t query[MODBUS_RTU_MAX_ADU_LENGTH];
        int length = modbus_receive(context, query);
        if (length < 0) return 1;
        if (length > 0) modbus_reply(context, query, length, map);
        map->tab_registers[10] ^= 1;
        if (!map->tab_registers[10]) map->tab_registers[12] += 10;
    }
}
"""

WRITER_C = r"""
/* Writes holding registers as any tool on libmodbus would. usage: PORT UNIT ADDRESS VALUE ... */
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    uint16_t values[16];
    modbus_t *context = modbus_new_tcp("127.0.0.1", atoi(argv[1]));
    if (argc < 5 || argc - 4 > 16 || modbus_set_slave(context, atoi(argv[2])) || modbus_connect(context)) return 1;
    for (int at = 4; at < argc; at++) values[at - 4] = atoi(argv[at]);
    if (modbus_write_registers(context, atoi(argv[3]), argc - 4, values) != argc - 4) return 1;
    modbus_close(context);
    return 0;
}
"""


def compiled(name: str, source: str, folder: Path) -> Path:
    """The program; skips the test, saying why, where there is no compiler or no libmodbus to compile it with."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler is installed")
    text, program = folder / f"{name}.c", folder / name
    text.write_text(source)
    built = subprocess.run(
        [compiler, "-O1", "-I/usr/include/modbus", "-o", program, text, "-lmodbus"],
        capture_output=True,
        text=True,
        check=False,
    )
    if "modbus.h" in built.stderr or "-lmodbus" in built.stderr:
        pytest.skip("libmodbus-dev is not installed")
    assert built.returncode == 0, built.stderr
    return program
