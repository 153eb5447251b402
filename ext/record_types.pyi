"""The model's tables in C, for the decoder alone: built by `NdjsonDecoder`, which says what they hold."""

class RecordTypes:
    def __init__(
        self,
        kinds: dict[str, tuple[bool, list[list[str]]]],
        fields: dict[str, str],
        exceptions: dict[tuple[str, str], str],
        elements: dict[tuple[str, str], list[list[str]]],
        values: dict[tuple[str, str], tuple[str, ...]],
        element_values: dict[str, tuple[str, ...]],
    ) -> None: ...
