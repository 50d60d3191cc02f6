"""All models of a service, and the replacement of one by its next version."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from soundgate.audio.serving.models.opened import OpenedModel, open_model
from soundgate.errors import ConfigError, ParameterError, SoundgateError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from soundgate.audio.serving.models.sources import ModelSource
    from soundgate.audio.serving.settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class Failed:
    """A model that could not be opened; the one before it goes on being used."""

    identity: str
    why: str


class UnknownModel(ParameterError):
    """No model of that name is served."""


class _Place:
    """The model of a source, and the requests that use it."""

    def __init__(self, source: ModelSource) -> None:
        self.source = source
        self.identity = ""
        self.model: OpenedModel | None = None
        self.failed: Failed | None = None


class Catalogue:
    """Models by name; ``use`` hands them out, ``refresh`` replaces those that have a next version.

    A model that is replaced is closed when the last request that uses it is done.
    """

    def __init__(
        self,
        sources: Sequence[ModelSource],
        settings: ServiceSettings,
        *,
        encoder: Path | None = None,
        observe: Callable[[str, int, float], None] = lambda _name, _clips, _seconds: None,
        tell: Callable[[str], None] = print,
    ) -> None:
        """Remember the sources; ``refresh`` opens the models.

        Args:
            sources: where models come from; their names differ.
            settings: of the service.
            encoder: weights that classifiers of embeddings listen through.
            observe: told of each batch: model, clips, seconds.
            tell: writes a line for the operator.

        Raises:
            ConfigError: two sources have one name, or there is none.
        """
        names = [source.name for source in sources]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"model {name!r} is given twice: name each once")
        if not names:
            raise ConfigError("no model is given: use --model-dir or --model")
        self._places = {source.name: _Place(source) for source in sources}
        self._settings, self._encoder = settings, encoder
        self._observe, self._tell = observe, tell
        self._users: dict[int, int] = {}
        self._lock, self._refreshing = threading.Lock(), threading.Lock()
        self._closing: list[threading.Thread] = []

    @property
    def names(self) -> list[str]:
        """All names, also of models that could not be opened."""
        return list(self._places)

    @property
    def ready(self) -> bool:
        """Whether every model is open."""
        return all(place.model is not None for place in self._places.values())

    def models(self) -> list[OpenedModel]:
        """The models that are open now."""
        return [place.model for place in self._places.values() if place.model is not None]

    def failures(self) -> dict[str, Failed]:
        """What could not be opened, by name."""
        found = {name: place.failed for name, place in self._places.items()}
        return {name: failed for name, failed in found.items() if failed is not None}

    @contextlib.contextmanager
    def use(self, name: str | None) -> Iterator[OpenedModel]:
        """The model of that name, which stays open until it is given back.

        Args:
            name: None where the service has one model only.

        Raises:
            UnknownModel: there is none of that name.
            ParameterError: none is named, and there are several.
            SoundgateError: it could not be opened.
        """
        with self._lock:
            model = self._model(name)
            self._users[id(model)] = self._users.get(id(model), 0) + 1
        try:
            yield model
        finally:
            self._give_back(model)

    def refresh(self) -> None:
        """Open models that are new or changed; one that cannot be is told, once, and left out."""
        with self._refreshing:
            for place in self._places.values():
                try:
                    identity = place.source.identity()
                    if identity == place.identity or self._knows_failure(place, identity):
                        continue
                    release = place.source.fetch()
                    model = open_model(
                        place.source.name,
                        release,
                        self._settings,
                        encoder=self._encoder,
                        observe=self._observer(place.source.name),
                    )
                except Exception as error:  # noqa: BLE001 - a broken model must not end the service
                    self._refuse(place, error)
                else:
                    self._take(place, identity, model)

    def close(self) -> None:
        """Close every model, when what waits is scored."""
        for model in self.models():
            model.batcher.close()
        for thread in self._closing:
            thread.join()

    def _model(self, name: str | None) -> OpenedModel:
        if name is None and len(self._places) > 1:
            raise ParameterError(f"model: several are served; name one of {', '.join(self.names)}")
        place = next(iter(self._places.values())) if name is None else self._places.get(name)
        if place is None:
            raise UnknownModel(f"model: unknown model {name!r}{nearest(str(name), self.names)}")
        if place.model is None:
            why = place.failed.why if place.failed else "it is being opened"
            raise SoundgateError(f"model {place.source.name!r} is not ready: {why}")
        return place.model

    def _give_back(self, model: OpenedModel) -> None:
        with self._lock:
            self._users[id(model)] -= 1
            unused = not self._users[id(model)]
            if unused:
                del self._users[id(model)]
            if unused and model not in self.models():
                self._close(model)

    def _take(self, place: _Place, identity: str, model: OpenedModel) -> None:
        with self._lock:
            before, place.model = place.model, model
            place.identity, place.failed = identity, None
            if before is not None and id(before) not in self._users:
                self._close(before)
        version = f" version {model.version}" if model.version else ""
        self._tell(f"serving {model.name}{version} ({model.system}) with {model.runtime}")

    def _close(self, model: OpenedModel) -> None:
        """Its threads end in one of their own: nobody waits for them."""
        thread = threading.Thread(target=model.batcher.close, name="closing", daemon=True)
        self._closing = [each for each in self._closing if each.is_alive()] + [thread]
        thread.start()

    def _refuse(self, place: _Place, error: Exception) -> None:
        why = str(error) if isinstance(error, SoundgateError) else repr(error)
        try:
            identity = place.source.identity()
        except SoundgateError:
            identity = ""
        if place.failed is None or place.failed.why != why or place.failed.identity != identity:
            kept = "; the version before it is kept" if place.model else ""
            self._tell(f"refused {place.source.name}: {why}{kept}")
        place.failed = Failed(identity, why)

    @staticmethod
    def _knows_failure(place: _Place, identity: str) -> bool:
        return place.failed is not None and place.failed.identity == identity != ""

    def _observer(self, name: str) -> Callable[[int, float], None]:
        return lambda clips, seconds: self._observe(name, clips, seconds)
