"""Where AVX-512 makes sorting slow, numpy is kept from it; elsewhere nothing is set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from phasegate.__main__ import NO_AVX512, sort_without_avx512

NAME = "NPY_DISABLE_CPU_FEATURES"
ZEN_4 = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\n"
ZEN_5 = ZEN_4.replace("25", "26")
INTEL = ZEN_4.replace("AuthenticAMD", "GenuineIntel")


@pytest.mark.parametrize(
    ("cpuinfo", "said", "wanted"),
    [
        (ZEN_4, None, NO_AVX512),
        (ZEN_4, "AVX512_SPR", "AVX512_SPR"),
        (ZEN_5, None, None),
        (INTEL, None, None),
        (None, None, None),
    ],
)
def test_numpy_is_kept_from_avx512_on_zen_4_alone_and_never_against_the_users_word(
    cpuinfo: str | None,
    said: str | None,
    wanted: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(NAME, said or "")
    if said is None:
        monkeypatch.delenv(NAME)
    if cpuinfo is not None:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
    sort_without_avx512(str(tmp_path / "cpuinfo"))
    assert os.environ.get(NAME) == wanted


def test_numpy_knows_the_names_and_has_not_been_imported_before_the_command_says_them() -> None:
    script = """
import sys, warnings
import phasegate.__main__
assert "numpy" not in sys.modules
warnings.simplefilter("error")
import numpy
assert not numpy._core._multiarray_umath.__cpu_features__["X86_V4"]
"""
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        pytest.skip("AVX-512 is x86's")
    environment = os.environ | {NAME: NO_AVX512}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
