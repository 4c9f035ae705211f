"""Runs Java programs (the official tokenizer, METEOR and SPICE) and always terminates them."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

REMEDY = (
    "install Java 8 or newer, e.g. with `conda env create -f environment.yml` or `apt install default-jre-headless`"
)

# Independent of the user's locale: captions are UTF-8, and in Turkish the lower case of "I" is not "i".
_OPTIONS = ("-Dfile.encoding=UTF-8", "-Duser.language=en", "-Duser.country=US")
_LOCALE = "C.UTF-8"

_VERSION_SECONDS = 60


class JavaError(Exception):
    """Java is missing, or a Java program failed. The message has the reason and the remedy."""


def find_java() -> str:
    """Path of the `java` on PATH.

    Raises:
        JavaError: there is none.
    """
    java = shutil.which("java")
    if java is None:
        raise JavaError(f"Java is not on PATH; {REMEDY}")
    return java


def java_version() -> int:
    """Major version of the `java` on PATH, such as 8 or 17; cached per program.

    Raises:
        JavaError: there is none, or it does not start.
    """
    return _version_of(find_java())


@functools.cache
def _version_of(java: str) -> int:
    try:
        # All versions of Java print the version to standard error.
        answer = subprocess.run(
            [java, "-version"], capture_output=True, text=True, errors="replace", timeout=_VERSION_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise JavaError(f"{java} does not start ({error}); {REMEDY}") from error
    # "1.8.0_292" is Java 8; "17.0.15" and "21" are 17 and 21.
    found = re.search(r'version "(?:1\.)?(\d+)', answer.stderr)
    if answer.returncode or found is None:
        raise JavaError(f"{java} does not start ({_last_line(answer.stderr)}); {REMEDY}")
    return int(found[1])


def run_java(name: str, arguments: Sequence[str], folder: Path, seconds: float) -> None:
    """Run a Java program without standard input until it exits, and discard its output.

    Args:
        name: name of the program, for error messages.
        arguments: the arguments of `java`, after the locale options.
        folder: working directory.
        seconds: time limit.

    Raises:
        JavaError: Java is missing, or the program failed or took too long.
    """
    command = [find_java(), *_OPTIONS, *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, env=_environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds
        )
    except subprocess.TimeoutExpired as error:
        raise JavaError(_too_slow(name, seconds)) from error
    except OSError as error:
        raise JavaError(f"{name}: Java does not start ({error}); {REMEDY}") from error
    if done.returncode:
        raise JavaError(_failed(name, done.stderr.decode(errors="replace")))


@contextmanager
def java_program(name: str, arguments: Sequence[str], folder: Path, seconds: float) -> Iterator[JavaProgram]:
    """Start a Java program that answers line by line; it is killed at the end of the block.

    Args:
        name: name of the program, for error messages.
        arguments: the arguments of `java`, after the locale options.
        folder: working directory.
        seconds: time limit from the start.

    Raises:
        JavaError: Java is missing or does not start.
    """
    command = [find_java(), *_OPTIONS, *arguments]
    # Messages go to a file, because the program blocks when a pipe that nobody reads is full.
    with tempfile.TemporaryFile() as messages:
        try:
            process = subprocess.Popen(
                command, cwd=folder, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=messages,
                encoding="utf-8", errors="replace",
            )  # fmt: skip
        except OSError as error:
            raise JavaError(f"{name}: Java does not start ({error}); {REMEDY}") from error
        program = JavaProgram(name, process, messages, seconds)
        timer = threading.Timer(seconds, program.time_out)
        timer.daemon = True
        timer.start()
        try:
            yield program
        finally:
            timer.cancel()
            process.kill()
            with suppress(OSError):  # flushing the buffer fails: the program has exited
                process.communicate()


class JavaProgram:
    """A running Java program (see `java_program`)."""

    def __init__(self, name: str, process: subprocess.Popen[str], messages: IO[bytes], seconds: float) -> None:
        self._name, self._process, self._messages, self._seconds = name, process, messages, seconds
        self._too_slow = threading.Event()

    def time_out(self) -> None:
        """Kill the program because it exceeded its time limit."""
        self._too_slow.set()
        self._process.kill()

    def write(self, line: str) -> None:
        """Send one line.

        Raises:
            JavaError: the program has exited.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._ended() from error

    def read(self) -> str:
        """The next line of output, stripped.

        Raises:
            JavaError: the program has exited, or exceeded its time limit.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        return line.strip()

    def _ended(self) -> JavaError:
        self._process.kill()
        self._process.wait()
        if self._too_slow.is_set():
            return JavaError(_too_slow(self._name, self._seconds))
        self._messages.seek(0)
        return JavaError(_failed(self._name, self._messages.read().decode(errors="replace")))


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": _LOCALE}


def _failed(name: str, messages: str) -> str:
    return f"{name}: Java failed ({_last_line(messages)}); check it with `java -version`, or {REMEDY}"


def _too_slow(name: str, seconds: float) -> str:
    return f"{name}: no result within {seconds:.0f} seconds; try again when the machine is less busy"


def _last_line(messages: str) -> str:
    """The most informative line: the first one that mentions an error, else the last one."""
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    named = [line for line in lines if re.search("error|exception|could not|unable", line, re.IGNORECASE)]
    return (named or lines[-1:] or ["without a message"])[0][:200]
