"""Uploads an exported folder to the Hugging Face hub. The token is that of its own login or `HF_TOKEN`."""

from __future__ import annotations

from pathlib import Path

from peftsearch.core.calls.arguments import checked
from peftsearch.core.errors import UserError, one_line, shown
from peftsearch.core.escaping import on_one_line
from peftsearch.core.files.checksums import SUMS
from peftsearch.export.description import CARD

REFUSALS = {
    401: "the hub does not accept the token; make a new one at https://huggingface.co/settings/tokens",
    403: "the token may not write there; use one that may write to this account, or name another repository",
    404: "the hub has no such account, or the token may not see it",
    413: "the hub takes no file that large",
}
"""What the hub means by a status, and what to do."""


def check_repository(repository: str) -> None:
    """Check, before anything is written, that `push_export` has a valid name and a token. Asks no network.

    Raises:
        UserError: it is no name of a repository, or nobody is logged in to the hub.
    """
    from huggingface_hub import get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # documented, but not in __all__

    try:
        validate_repo_id(repository)
    except HFValidationError:
        raise UserError(
            f"--push {shown(repository)}: is no name of a repository on the hub; write OWNER/NAME with letters, "
            "digits, single - and ., and _"
        ) from None
    if get_token() is None:
        raise UserError(f"--push {repository}: nobody is logged in to the hub; run `hf auth login`, or set HF_TOKEN")


@checked
def push_export(folder: str | Path, repository: str, *, private: bool = False) -> str:
    """Upload a folder that `export_trial` has written to the Hugging Face hub, as one commit.

    The token is that of `hf auth login`, or `HF_TOKEN`. Nothing in an existing repository is deleted; a file of the
    same name gets a new version.

    Args:
        folder: an export.
        repository: `OWNER/NAME`, or `NAME` in the account that the token belongs to.
        private: whether a new repository is hidden from others; an existing one stays as it is.

    Returns:
        The address of the repository.

    Raises:
        UserError: `folder` is no export, nobody is logged in, the hub cannot be reached, or it refuses.

    Examples:
        >>> address = push_export("my-classifier", "ann/my-classifier", private=True)
        >>> address.endswith("/ann/my-classifier")
        True
    """
    import requests
    from huggingface_hub import HfApi

    check_repository(repository)
    folder = Path(folder)
    if not all((folder / name).is_file() for name in (CARD, SUMS)):
        raise UserError(f"{folder}: is no exported classifier; make one with: peftsearch export --study NAME --out DIR")
    api, message = HfApi(library_name="peftsearch"), "Upload a text classifier with peftsearch"
    try:
        made = api.create_repo(repository, private=private or None, exist_ok=True)
        api.upload_folder(repo_id=made.repo_id, folder_path=folder, commit_message=message)
    # RuntimeError and ValueError: what huggingface_hub raises where a large file or the card's metadata is refused.
    except (requests.RequestException, ConnectionError, RuntimeError, ValueError) as error:
        later = f"the classifier is in {folder}; to upload it later: hf upload {repository} {folder}"
        raise UserError(f"--push {repository}: {_why(error)}; {later}") from error
    return str(made)


def _why(error: BaseException) -> str:
    """Why the hub took nothing, in half a sentence; huggingface_hub may have wrapped the hub's answer in an error."""
    import requests
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    cause = error if isinstance(error, HfHubHTTPError) else error.__cause__ or error
    if isinstance(cause, HfHubHTTPError) and cause.response is not None:
        status = cause.response.status_code
        said = on_one_line(one_line(cause.server_message or str(error)))
        return REFUSALS.get(status) or f"the hub refuses it with status {status}: {said}"
    if isinstance(cause, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, so that no hub is asked"
    if isinstance(cause, requests.RequestException | ConnectionError):
        return "the hub cannot be reached"
    return f"the hub refuses it: {on_one_line(one_line(error))}"
