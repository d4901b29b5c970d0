"""Downloads that try several mirrors, go on where they stopped, and are kept only if their hash is right."""

import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pooch
import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from mmaml.runs.errors import UserError


TIMEOUT = 30
"""Seconds that a server may be silent."""


@dataclass(frozen=True)
class Archive:
    """A file on the web: its name, its hash as `md5:…` or `sha256:…`, its size, and where it can be had."""

    file: str
    hash: str
    megabytes: int
    mirrors: tuple[str, ...]


def download(archive: Archive, folder: Path, console: Console) -> Path:
    """Have `archive` in `folder`, from the first mirror that delivers it; at once if it is there already.

    What came before a break is kept as `<file>.part`, and the next try goes on from there if the server allows.

    Raises `UserError` if no mirror delivers, or the disk does not take it.
    """
    pooch.get_logger().setLevel("WARNING")
    part = folder / f"{archive.file}.part"
    failures = []
    for url in archive.mirrors:

        def fetch(url: str, output_file: str, _: Any) -> None:
            _continue_download(url, part, archive, console)
            os.replace(part, output_file)

        try:
            # pooch checks the hash; its annotation of downloaders has other names than those it calls them with
            return Path(pooch.retrieve(url, archive.hash, archive.file, folder, downloader=fetch))  # pyright: ignore[reportArgumentType]
        except requests.HTTPError as error:
            failures.append(f"{url}: {str(error).partition(' for url')[0]}")
        except requests.Timeout:
            failures.append(f"{url}: no answer within {TIMEOUT} s")
        except requests.RequestException as error:
            failures.append(f"{url}: no connection, or it broke ({type(error).__name__})")
        except _WebPage:
            failures.append(f"{url}: a web page came instead of the file (the server's quota may be used up)")
        except ValueError:
            failures.append(f"{url}: the file that came is not the one we know, its hash differs")
        except OSError as error:
            raise UserError(
                f"cannot write to {folder}: {error.strerror or error}. {archive.file} has {archive.megabytes} MB, and "
                "the data set made of it needs room, too. Free some space, or choose another folder with the "
                "environment variable MMAML_DATA; the same command then goes on where it stopped."
            ) from error
    tried = "\n  ".join(failures)
    raise UserError(
        f"{archive.file} ({archive.megabytes} MB) could not be downloaded:\n  {tried}\nTry again later: the same "
        f"command goes on where it stopped. Or get the file yourself and put it into {folder}."
    )


class _WebPage(Exception):
    """What came is HTML."""


def _continue_download(url: str, part: Path, archive: Archive, console: Console) -> None:
    """Append to `part` what is missing, or write it anew if the server cannot go on in the middle."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if have and answer.status_code == requests.codes.requested_range_not_satisfiable:
            return  # nothing is missing, or the part is of something else: the hash will tell
        answer.raise_for_status()
        if answer.status_code != requests.codes.partial_content:
            have = 0
        chunks = answer.iter_content(1 << 18)
        first = next(chunks, b"")
        if "html" in answer.headers.get("Content-Type", "") or first.lstrip()[:5].lower() in (b"<html", b"<!doc"):
            raise _WebPage
        total = have + int(answer.headers["Content-Length"]) if "Content-Length" in answer.headers else None
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with (
            Progress(*columns, TimeRemainingColumn(), console=console) as bar,
            open(part, "ab" if have else "wb") as file,
        ):
            task = bar.add_task(archive.file, total=total, completed=have)
            for chunk in itertools.chain([first], chunks):
                file.write(chunk)
                bar.update(task, advance=len(chunk))
