"""A batch of records as columns, with the canonical lines that they were read from.

`record(i)` decodes row i's line; `ndjson()` is all lines as they stand, each ended by a line feed; `column(name)`
copies one column: int64 t_rx t epoch seq qty weight_g at; int32 src sub task order line sku lu carton track lot loc
dest dest_req code press size, texts as numbers of `texts`; uint8 kind flags. -2**63 and line -1 mean "absent".
"""

from typing import Any

import numpy as np

from ext.texts import Texts

class Batch:
    texts: Texts
    count: int
    def __init__(self, texts: Texts) -> None: ...
    def __len__(self) -> int: ...
    def record(self, i: int) -> dict[str, Any]: ...
    def ndjson(self) -> bytes: ...
    def clear(self) -> None: ...
    def column(self, name: str) -> np.ndarray[Any, Any]: ...
