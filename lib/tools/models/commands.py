"""Does what each command of ``jobs/models.py`` says, and tells what it has done."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from lib.errors import SettingsError
from lib.exit_codes import ExitCode
from lib.record.contract_file import read_contract
from lib.score.loading import load_model
from lib.score.registry import DEFAULT
from lib.settings.domain import choose_contract
from lib.settings.jobs.models import ModelsSettings
from lib.store import ModelStore, ModelVersion, installed_libraries
from lib.store.compatibility import check_contract
from lib.tools.contract.checking import iter_checked
from lib.tools.models.adding import admit, make_staging_folder
from lib.tools.models.archive import SUFFIX, Archive, write_archive
from lib.tools.models.comparison import compare_metrics, compare_outcomes, find_worse
from lib.tools.models.listing import list_versions, show_version
from lib.tools.models.naming import find_stored, name_stored
from lib.tools.models.records import MOST_RECORDS, check_values, read_topic
from lib.tools.models.registry.fetch import fetch_files, is_registered
from lib.tools.models.scoring import find_named, load_named, score_records
from lib.tools.models.staging import list_risky, require_trust, sort_files, stage
from lib.tools.models.topics.command import compare_topics
from lib.tools.models.trial import list_outcomes, summarise
from lib.training.data import read_training_data
from lib.training.report.report import note_threshold

#: The lines that a command prints, and at their end its exit code.
Lines = Generator[str, None, ExitCode]


def list_models(settings: ModelsSettings) -> Lines:
    """List the versions of one model, or of all."""
    store, now = ModelStore(settings.store), datetime.now(UTC)
    tables = [list_versions(store, name, now) for name in settings.names or store.names()]
    yield "\n\n".join(map("\n".join, tables)) or f"{store.root}: there is no model yet"
    return ExitCode.DONE


def show(settings: ModelsSettings) -> Lines:
    """Show all that is known of a version."""
    store, version = find_stored(settings.store, settings.names[0])
    yield from show_version(store, version, datetime.now(UTC))
    return ExitCode.DONE


def promote(settings: ModelsSettings) -> Lines:
    """Make a version the champion."""
    store, name, version = name_stored(settings.store, settings.names[0])
    store.promote(name, version)
    yield f"champion {name}@{version}: jobs that run take it between two batches"
    return ExitCode.DONE


def roll_back(settings: ModelsSettings) -> Lines:
    """Make the champion before the present one the champion again."""
    (name,) = settings.names
    version = ModelStore(settings.store).roll_back(name)
    yield f"champion {name}@{version}, as before: jobs that run take it between two batches"
    return ExitCode.DONE


def delete(settings: ModelsSettings) -> Lines:
    """Delete a version."""
    store, name, version = name_stored(settings.store, settings.names[0])
    store.delete(name, version)
    yield f"deleted {name}@{version}"
    return ExitCode.DONE


def try_model(settings: ModelsSettings) -> Lines:
    """Score the records of a file, and show the result."""
    assert settings.data is not None, "the settings require it"
    (name,) = settings.names
    backend, contract = load_named(settings, name, *find_named(settings.store, name))
    outcomes = list(score_records(backend, iter_checked(settings.data, contract), contract))
    yield from list_outcomes(outcomes, contract)
    yield summarise(outcomes, contract, backend.scored_by)
    return ExitCode.FAILED if any(it.reason for it in outcomes) else ExitCode.DONE


def set_threshold(settings: ModelsSettings) -> Lines:
    """Save the files of a version as a new one with another threshold."""
    assert settings.threshold is not None, "the settings require it"
    store, old = find_stored(settings.store, settings.names[0])
    before, after = old.metadata.threshold, settings.threshold
    origin = {"command": "set-threshold", "from": old.reference, "threshold_before": before}
    new = store.save_again(
        old,
        threshold=after,
        origin=origin,
        now=datetime.now(UTC),
        amend=lambda folder: note_threshold(folder, old.reference, before, after),
    )
    yield f"saved {new.reference}: as {old.reference}, with threshold {after:g} for {before:g}"
    return ExitCode.DONE


def export(settings: ModelsSettings) -> Lines:
    """Write a version into an archive."""
    _, version = find_stored(settings.store, settings.names[0])
    path = Path(settings.output or f"{version.name}-{version.version}{SUFFIX}")
    write_archive(version, path, overwrite=settings.overwrite)
    yield f"wrote {path}: {version.reference}, {len(version.metadata.artefacts)} files"
    return ExitCode.DONE


def compare(settings: ModelsSettings) -> Lines:
    """Compare two models: what was measured, and what they say or have said about records."""
    if settings.from_topics:
        return (yield from compare_topics(settings))
    found = {name: find_named(settings.store, name) for name in settings.names}
    first, second = (found[name][1] for name in settings.names)
    if first is not None and second is not None:
        yield from compare_metrics(first.metadata, second.metadata)
    code = ExitCode.DONE
    if settings.tolerance is not None:
        if first is None or second is None:
            raise SettingsError(
                "--tolerance: found a model outside a store, of which nothing was measured",
                hint="save it as a version with `jobs/models.py add --data FILE`",
            )
        for phrase in find_worse(first.metadata, second.metadata, settings.tolerance):
            code = ExitCode.FAILED
            yield f"{second.reference}: {phrase}, more than --tolerance {settings.tolerance:g}"
    if settings.data is None and settings.topic is None:
        return code
    count = settings.count or MOST_RECORDS
    values = read_topic(settings.cluster, settings.topic, count) if settings.topic else []
    outcomes, names = [], []
    for name in settings.names:
        backend, contract = load_named(settings, name, *found[name])
        records = check_values(values, contract)
        if settings.data is not None:
            records = iter_checked(settings.data, contract)
        outcomes.append(list(score_records(backend, records, contract)))
        names.append(backend.scored_by)
    yield from compare_outcomes(outcomes[0], outcomes[1], (names[0], names[1]))
    return code


def add(settings: ModelsSettings) -> Lines:
    """Save a model that was made elsewhere as a version, after it has shown that it scores."""
    now, contract = datetime.now(UTC), choose_contract(settings.contract)
    store, name = ModelStore(settings.store), settings.name or contract.defaults.model
    positive_class, columns = settings.positive_class or None, settings.columns or None
    with make_staging_folder() as elsewhere, make_staging_folder() as folder:
        fetched = fetch_files(settings.names, os.environ, elsewhere)
        files = sort_files(fetched.paths, contract, fetched.show)
        risky = [fetched.show(it) for it in list_risky(files, settings.preprocessor)]
        trusted = require_trust(risky, is_trusted=settings.trust, now=now)
        store.check_writable(name)
        data = None if settings.data is None else read_training_data(settings.data, contract)
        load = partial(
            load_model,
            DEFAULT,
            contract=contract,
            positive_class=positive_class,
            columns=columns,
        )
        stage(files, settings.preprocessor, folder, load)
        model = admit(folder, contract, positive_class, columns)
        model.require_agreement()
        if settings.expect is not None:
            model.expect(settings.expect)
        if data is not None:
            model.measure(data)
        version = model.save(
            store,
            name,
            metrics=model.metrics,
            threshold=model.threshold if settings.threshold is None else settings.threshold,
            libraries=installed_libraries(),
            training={"source": "added"},
            origin={
                "command": settings.command,
                "files": {engine: path.name for engine, path in files.items()},
                **({"mlflow": fetched.facts} if fetched.models else {}),
                **({"trusted": trusted} if trusted else {}),
            },
            now=now,
        )
    return (yield from _tell_saved(store, version))


def import_archive(settings: ModelsSettings) -> Lines:
    """Save the version of an archive under a new number, after it has shown that it scores.

    A model that is registered on a server of MLflow is added.
    """
    if is_registered(settings.names[0]):
        return (yield from add(settings))
    now, archive = datetime.now(UTC), Archive(Path(settings.names[0]))
    old = archive.metadata
    if settings.contract is not None:
        check_contract(old, read_contract(settings.contract))
    names = [it.artefact for it in archive.list_backends() if it.may_run_code(Path(it.artefact))]
    places = [f"{archive.path}:{name}" for name in names]
    trusted = require_trust(places, is_trusted=settings.trust, now=now)
    store, name = ModelStore(settings.store), settings.name or old.name
    store.check_writable(name)
    archive.check_libraries()
    with make_staging_folder() as folder:
        archive.unpack(folder)
        model = admit(folder, archive.contract, old.positive_class, old.columns)
        version = model.save(
            store,
            name,
            metrics=old.metrics,
            threshold=old.threshold,
            libraries=old.libraries,
            training=old.training,
            origin={
                "command": "import",
                "file": archive.path.name,
                "from": f"{old.name}@{old.version}",
                "created": old.created,
                "before": old.origin,
                **({"trusted": trusted} if trusted else {}),
            },
            now=now,
        )
    return (yield from _tell_saved(store, version))


def _tell_saved(store: ModelStore, version: ModelVersion) -> Lines:
    is_first = store.promote_first(version.name, version.version)
    yield from show_version(store, version, datetime.now(UTC))
    yield f"saved {version.reference}{', which is the champion now' if is_first else ''}"
    return ExitCode.DONE


#: Command → function that does it.
COMMANDS: dict[str, Callable[[ModelsSettings], Lines]] = {
    "list": list_models,
    "show": show,
    "promote": promote,
    "rollback": roll_back,
    "delete": delete,
    "try": try_model,
    "set-threshold": set_threshold,
    "export": export,
    "import": import_archive,
    "add": add,
    "compare": compare,
}
