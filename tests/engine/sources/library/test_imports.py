from __future__ import annotations

import subprocess
import sys


def test_the_library_is_light_until_it_is_used() -> None:
    program = (
        "import sys, pathlib; from engine.sources.library import Library; Library(pathlib.Path('x')).status();"
        "print({'numpy', 'pyarrow', 'lancedb', 'torch', 'tokenizers', 'sentence_transformers'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "set()"
