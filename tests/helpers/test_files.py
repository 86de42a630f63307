"""Files are looked at before they are read; files of chance by the thousand are in test_fuzz_files.py."""

import os
import sys
from pathlib import Path

import pytest

from helpers import files


@pytest.mark.skipif(sys.platform == "win32", reason="it has no pipes in folders")
def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "images.npz")
    with pytest.raises(
        KeyError, match=r"images\.npz.*cannot be read \(ValueError: that is no file, and may have no end"
    ):
        files.check_arrays(tmp_path / "images.npz", KeyError)
