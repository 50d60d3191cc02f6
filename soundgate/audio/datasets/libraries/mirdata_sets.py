"""The data sets of mirdata 1.0, and why some of them are not read."""

from __future__ import annotations

from typing import Final

from soundgate.audio.datasets.libraries.row import FIXED_SPLITS, Row

_OWN_AUDIO: Final = "its audio is not distributed; you need your own copy"
_ON_REQUEST: Final = "its audio is given out on request only"

ROWS: Final = {
    "ballroom": Row(labels="genre"),
    "beatport_key": Row(labels="genres.genres"),
    "compmusic_carnatic_rhythm": Row(labels="taala", request=_ON_REQUEST),
    "compmusic_carnatic_varnam": Row(labels="taala"),
    "compmusic_hindustani_rhythm": Row(labels="taala", request=_ON_REQUEST),
    "compmusic_raga": Row(labels="raga", request=_ON_REQUEST),
    "egfxset": Row(labels="effect"),
    "fma_keys": Row(labels="key"),
    "freesound_one_shot_percussive_sounds": Row(labels="tags", note="tags of Freesound's users"),
    "giantsteps_key": Row(labels="genres.genres"),
    "giantsteps_tempo": Row(labels="genre", request=_OWN_AUDIO),
    "good_sounds": Row(labels="instrument"),
    "groove_midi": Row(labels="drum_events", split="split"),
    "gtzan_genre": Row(labels="genre", note="has a smaller version, mini"),
    "guitarset": Row(labels="style", audio="audio_mic_path"),
    "idmt_smt_audio_effects": Row(labels="fx_type", note="classes are the numbers of effects"),
    "irmas": Row(labels="instrument", split="split", note="several labels in the test clips"),
    "jtd": Row(labels="instrument", request=_ON_REQUEST),
    "medley_solos_db": Row(labels="instrument", split="subset", source="song_id"),
    "medleydb_melody": Row(labels="genre", request=_ON_REQUEST, source="artist"),
    "medleydb_pitch": Row(labels="instrument", request=_ON_REQUEST, source="title"),
    "mridangam_stroke": Row(labels="stroke_name"),
    "mtg_jamendo_autotagging_moodtheme": Row(
        labels="tags", split=FIXED_SPLITS, source="album_id", request=_OWN_AUDIO
    ),
    "openmic2018": Row(
        labels="instruments",
        split="split",
        splits={"split01_train": "training", "split01_test": "test"},
        note="instruments of probability 0.5 and more",
    ),
    "orchset": Row(
        labels="predominant_melodic_instruments", audio="audio_path_mono", source="work"
    ),
    "rwc_classical": Row(labels="category", request=_OWN_AUDIO),
    "rwc_popular": Row(labels="vocal_instrument_activity", request=_OWN_AUDIO),
    "salami": Row(labels="broad_genre", request=_OWN_AUDIO),
    "scms": Row(labels="activations", source="artist"),
    "slakh": Row(labels="instrument", split="split", splits={"omitted": ""}, source="mtrack_id"),
    "tinysol": Row(labels="instrument_full", fold="split", folds=5, first_fold=0),
    "tonality_classicaldb": Row(labels="key", request=_OWN_AUDIO),
    "tonas": Row(labels="style", request=_ON_REQUEST, source="singer"),
}

_BEATS: Final = "has beats and tempi, no tags or events"
_PITCH: Final = "has pitch and notes, no tags or events"
_SCORES: Final = "has chords, keys and sections of songs, no tags or events of sounds"
_NO_AUDIO: Final = "has no audio, only features"

UNSUPPORTED: Final = {
    "acousticbrainz_genre": _NO_AUDIO,
    "baf": "has matches with reference recordings, no tags or events",
    "beatles": _SCORES,
    "billboard": _SCORES,
    "brid": _BEATS,
    "candombe": _BEATS,
    "cante100": _PITCH,
    "cipi": "needs music21, and has scores, no audio",
    "compmusic_iamms": _PITCH,
    "compmusic_indian_tonic": "has tonics, no tags or events",
    "compmusic_jingju_acappella": "has lyrics, no tags or events of sounds",
    "compmusic_otmm_makam": _NO_AUDIO,
    "cuidado": _BEATS,
    "da_tacos": _NO_AUDIO,
    "dagstuhl_choirset": _PITCH,
    "dali": "needs dali-dataset, and has lyrics, no tags or events of sounds",
    "filosax": _PITCH,
    "four_way_tabla": "has onsets without ends, no tags or events",
    "hainsworth": _BEATS,
    "haydn_op20": "needs music21, and has scores, no audio",
    "ikala": "has pitch and lyrics, no tags or events",
    "maestro": _PITCH,
    "mdb_stem_synth": _PITCH,
    "phenicx_anechoic": "has several files a track, and notes, no tags or events",
    "queen": _SCORES,
    "rwc_jazz": "has beats and sections; instruments are free text",
    "saraga_carnatic": _PITCH,
    "saraga_hindustani": _PITCH,
    "simac": "cannot be opened with mirdata 1.0.0, whose loader lacks the version it names",
    "vocadito": _PITCH,
}
