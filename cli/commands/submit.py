"""`tracker submit`: has ADX load blobs, and the tracker watch it."""

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from cli.connecting import connect
from cli.errors import ExitStatus, Refused, Stopped
from cli.inputs import json_object, lines_of, text_of
from cli.journal import Journal
from cli.options import Context, Place, common, place
from cli.output import Output
from cli.submission import Submission, Submitted, Submitter, Target, plan_of
from shared.endpoints import doubtful_endpoint, parse_origin
from shared.errors import EndpointNotAllowed
from shared.model import Json, bare_url
from shared.settings import BlobAccess

SAS = "TRACKER_SAS"


@click.command()
@click.argument("urls", metavar="[URL]...", nargs=-1)
@click.option("--from-file", metavar="FILE", help="File with a URL on each line; - for standard input.")
@click.option("--container", metavar="URL", help="Every blob of a container, listed by its SAS or by your login.")
@click.option("--prefix", metavar="TEXT", default="", help="Of the container, only blobs whose name begins so.")
@click.option(
    "--sas-file",
    metavar="FILE",
    help=f"File with the SAS that goes behind each URL that has none; - for standard input. [the SAS itself: {SAS}]",
)
@click.option(
    "--blob-access",
    type=click.Choice([str(each) for each in BlobAccess]),
    default=str(BlobAccess.AS_IS),
    show_default=True,
    help="How ADX reads them: as the URLs say, by its managed identity, or by a SAS that your login makes.",
)
@place
@click.option("--format", "blob_format", metavar="FORMAT", help="Of the blobs: csv, json, multijson, parquet, ….")
@click.option("--mapping", metavar="NAME", help="Ingestion mapping of the table.")
@click.option("--ignore-first-record", is_flag=True, help="The first line of each blob is a header.")
@click.option("--properties", metavar="JSON", help="Further properties of the submission.")
@click.option("--correlation-id", metavar="TEXT", help="Written down with the operations.")
@click.option(
    "--resume",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Journal of what is submitted: what is in it is not submitted again. It is kept; without this one is made "
    "here, and removed when all is submitted.",
)
@click.option(
    "--submit-unknown",
    is_flag=True,
    help="With --resume: also submit blobs of which it is not known whether ADX took them.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be submitted.")
@common
def submit(  # noqa: PLR0913, each is an option
    context: Context,
    *,
    urls: tuple[str, ...],
    from_file: str | None,
    container: str | None,
    prefix: str,
    sas_file: str | None,
    blob_access: str,
    place: Place,
    blob_format: str | None,
    mapping: str | None,
    ignore_first_record: bool,
    properties: str | None,
    correlation_id: str | None,
    resume: Path | None,
    submit_unknown: bool,
    dry_run: bool,
) -> None:
    """Have ADX load blobs, in requests of 20, and the tracker watch each of them.

    Prints the ID of each operation. Give URLs, --from-file or --container. A URL with a SAS is seen by whoever lists
    the processes of this machine: keep it in a file.
    """
    if sum(map(bool, (urls, from_file, container))) != 1:
        raise click.UsageError("give the URLs of blobs, --from-file or --container: one of them")
    if prefix and not container:
        raise click.UsageError("--prefix goes with --container")
    if submit_unknown and not resume:
        raise click.UsageError("--submit-unknown goes with --resume")
    settings = context.way.settings
    target = _target(
        settings, place, _properties(blob_format, mapping, properties, is_headed=ignore_first_record), correlation_id
    )
    sas = text_of(sas_file).strip() if sas_file else settings.get(SAS, "").strip()
    # Loaded late, as in cli.connecting.
    from cli import loading  # noqa: PLC0415

    given = [*urls, *(lines_of(from_file) if from_file else ())]
    found = loading.listed(_with_sas(_checked(container), sas), prefix) if container else given
    sources = [_with_sas(_checked(each), sas) for each in found]
    access = BlobAccess(blob_access)
    if container and sources and access is BlobAccess.AS_IS and "?" not in sources[0]:
        raise click.UsageError(
            "ADX can't read these blobs by your login: --blob-access managed-identity or user-delegation-sas"
        )
    readable = loading.readable(sources, access)
    if not readable:
        raise Refused("there is no blob to submit")
    if dry_run:
        _show_plan(context.output, plan_of(readable, target))
        return
    path = resume or Path(f"tracker-submit-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{os.getpid()}.jsonl")
    _submit(context, target, readable, path, is_kept=resume is not None, submits_unknown=submit_unknown)


def _checked(url: str) -> str:
    scheme, _, rest = url.partition("://")
    if scheme.lower() not in ("https", "http", "abfss", "adl", "s3") or not rest:
        raise click.UsageError(f"{bare_url(url)} is no URL of a blob")
    return url


def _with_sas(url: str, sas: str) -> str:
    return f"{url}?{sas.lstrip('?')}" if sas and "?" not in url and ";" not in url else url


def _properties(
    blob_format: str | None, mapping: str | None, further: str | None, *, is_headed: bool
) -> dict[str, Json]:
    properties = json_object(further, "--properties") if further else {}
    if blob_format:
        properties["format"] = blob_format
    if mapping:
        properties["ingestionMappingReference"] = mapping
    if is_headed:
        properties["ignoreFirstRecord"] = True
    if not properties.get("format"):
        raise click.UsageError("--format is missing: what ADX is to read the blobs as")
    return {**properties, "enableTracking": True}


def _target(
    settings: Mapping[str, str], where: Place, properties: dict[str, Json], correlation_id: str | None
) -> Target:
    cluster = where.cluster or settings.get("KUSTO_INGEST_URI", "")
    database, table = where.database or settings.get("KUSTO_DATABASE"), where.table or settings.get("KUSTO_TABLE")
    if not cluster or not database or not table:
        raise click.UsageError(
            "--cluster, --database and --table: which table is loaded? They may be KUSTO_INGEST_URI, KUSTO_DATABASE "
            "and KUSTO_TABLE as well"
        )
    try:
        return Target(parse_origin(cluster), database, table, properties, correlation_id)
    except EndpointNotAllowed as error:
        raise click.UsageError(f"--cluster: {error}") from None


def _submit(
    context: Context, target: Target, urls: list[str], path: Path, *, is_kept: bool, submits_unknown: bool
) -> None:
    """Submit, and tell what was submitted however it ends."""
    from cli import loading  # noqa: PLC0415, as above

    output = context.output
    doubt = doubtful_endpoint(target.cluster)
    if doubt:
        output.say(f"{target.cluster} {doubt}", "yellow")
    source = connect(context.way)
    journal = Journal.begin(path, target.as_json())
    if submits_unknown:
        journal.forget_unknown()
    submitter = Submitter(
        loading.adx_for(target.cluster, context.way.settings.get("KUSTO_AUTH", "")),
        source,
        journal,
        target,
        say=output.say,
        submitted=lambda each: _tell(output, each),
        sleep=time.sleep,
    )
    is_done = False
    try:
        submitter.run(urls)
        is_done = not submitter.outcome.unknown
    finally:
        # Also after an error and Ctrl-C: what was submitted has to be known.
        needed = is_kept or (not is_done and journal.requests > 0)
        journal.close(remove=not needed)
        _sum_up(output, submitter.outcome, target, path if needed else None, is_done=is_done)
    if not is_done:
        raise Stopped("it is not known whether ADX took some blobs; they were left alone", ExitStatus.FAILED)


def _tell(output: Output, each: Submitted) -> None:
    if not output.is_json:
        output.line(each.operation_id)
    if each.is_new and (output.is_json or not output.results.is_terminal):
        output.say(f"submitted {len(each.blobs)} blob(s) as {each.operation_id}")


def _sum_up(output: Output, outcome: Submission, target: Target, journal: Path | None, *, is_done: bool) -> None:
    if output.is_json:
        output.document(
            {
                "operations": [
                    {
                        "operationId": each.operation_id,
                        "cluster": target.cluster,
                        "database": target.database,
                        "table": target.table,
                        "blobs": each.blobs,
                        "isNew": each.is_new,
                    }
                    for each in outcome.submitted
                ],
                "skipped": outcome.skipped,
                "unknown": outcome.unknown,
                "left": outcome.left,
                "journal": journal and str(journal),
            }
        )
    new = [each for each in outcome.submitted if each.is_new]
    output.say(f"{sum(len(each.blobs) for each in new)} blob(s) in {len(new)} operation(s)")
    if outcome.skipped:
        output.say(f"{outcome.skipped} blob(s) were submitted before: {journal}")
    for url in outcome.unknown:
        output.say(f"not known whether ADX took it: {url}")
    if outcome.unknown:
        output.say(
            f"look in the table, or wait whether 'tracker list' shows them; then --resume {journal} --submit-unknown "
            "submits them again"
        )
    if outcome.untold:
        output.say(f"ADX took {outcome.untold} blob(s) that the tracker was not told of")
    if not is_done and (outcome.left or outcome.untold) and journal:
        output.say(
            f"{outcome.left} blob(s) are left: the same again with --resume {journal} goes on, and repeats nothing"
        )


def _show_plan(output: Output, plan: list[list[str]]) -> None:
    if output.is_json:
        output.document({"isDryRun": True, "requests": [{"blobs": blobs} for blobs in plan]})
        return
    for number, blobs in enumerate(plan, 1):
        output.say(f"request {number}, {len(blobs)} blob(s)")
        for url in blobs:
            output.line(url)
    output.say(f"{sum(map(len, plan))} blob(s) in {len(plan)} request(s); nothing was submitted")
