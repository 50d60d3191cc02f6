"""A small FSD50K: the folders, tables, ontology and split archives of the real one."""

from __future__ import annotations

import csv
import json
import struct
import zipfile

import numpy as np
import soundfile

MIDS = {
    "Electric_guitar": "/m/02sgy",
    "Guitar": "/m/0342h",
    "Plucked_string_instrument": "/m/0fx80y",
    "Musical_instrument": "/m/04szw",
    "Music": "/m/04rlf",
    "Bark": "/m/05tny_",
    "Dog": "/m/0bt9lr",
    "Animal": "/m/0jbk",
    "Rain": "/m/06mb1",
}
_PARENTS = {
    "Music": ("Musical_instrument",),
    "Musical_instrument": ("Plucked_string_instrument",),
    "Plucked_string_instrument": ("Guitar",),
    "Guitar": ("Electric_guitar",),
    "Animal": ("Dog",),
    "Dog": ("Bark",),
}
GUITAR = ("Electric_guitar", "Guitar", "Plucked_string_instrument", "Musical_instrument", "Music")
BARK = ("Bark", "Dog", "Animal")
# fname: labels as the real tables have them, smeared, most special first, and the split.
DEV = {
    "64760": (GUITAR, "train"),
    "16399": ((*BARK, "Rain"), "train"),
    "16401": (BARK, "val"),
    "16402": (("Rain",), "train"),
    "344271": (GUITAR, "val"),
    # "Dog" is left out between the two: one level only, so both stay.
    "344272": (("Bark", "Animal"), "train"),
}
EVAL = {"37199": (BARK,), "175151": (("Rain",),), "253463": (GUITAR,), "37200": (("Music",),)}


def write_ontology(path):
    names = {name: [MIDS[child] for child in _PARENTS.get(name, ())] for name in MIDS}
    entries = [{"id": MIDS[name], "name": name, "child_ids": kids} for name, kids in names.items()]
    # The real ontology knows classes that the data set does not have.
    entries[0]["child_ids"] = ["/m/unheard"]
    entries.append({"id": "/m/unheard", "name": "Unheard", "child_ids": []})
    path.write_text(json.dumps(entries))


def write_layout(root):
    rng = np.random.default_rng(1)
    truth = root / "FSD50K.ground_truth"
    truth.mkdir(parents=True)
    columns = {"dev": ["fname", "labels", "mids", "split"], "eval": ["fname", "labels", "mids"]}
    for kind, table in (("dev", DEV), ("eval", EVAL)):
        (root / f"FSD50K.{kind}_audio").mkdir()
        with (truth / f"{kind}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns[kind])
            for name, (labels, *split) in table.items():
                mids = ",".join(MIDS[label] for label in labels)
                writer.writerow([name, ",".join(labels), mids, *split])
                noise = rng.normal(0, 0.1, 16000)  # noise does not compress: the parts fill
                audio = root / f"FSD50K.{kind}_audio" / f"{name}.wav"
                soundfile.write(audio, noise, 16000, subtype="PCM_16")
    (truth / "vocabulary.csv").write_text(
        "".join(f"{k},{name},{mid}\n" for k, (name, mid) in enumerate(MIDS.items()))
    )
    write_ontology(root / "ontology.json")
    return root


def split_zip(folder, archive, size):
    """Zip ``folder`` and cut it into parts of ``size`` bytes, offsets counted from each part.

    What Info-ZIP's ``zip -s`` writes, without its lower limit on the size of a part.
    """
    whole = archive.with_suffix(".whole")
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder.parent))
        members = {info.filename: info.header_offset + 4 for info in file.infolist()}
        first = file.start_dir + 4
    data = b"PK\x07\x08" + whole.read_bytes()  # the mark of a split archive
    whole.unlink()
    index, at = bytearray(data[first:-22]), 0
    while at < len(index):
        name, extra, comment = struct.unpack_from("<3H", index, at + 28)
        disk, offset = divmod(members[index[at + 46 : at + 46 + name].decode()], size)
        struct.pack_into("<H", index, at + 34, disk)
        struct.pack_into("<I", index, at + 42, offset)
        at += 46 + name + extra + comment
    disk, offset = divmod(first, size)
    last = (first + len(index)) // size
    entries = len(members)
    on_last = 0 if disk != last else entries
    end = struct.pack("<4s4H2IH", b"PK\5\6", last, disk, on_last, entries, len(index), offset, 0)
    data = data[:first] + bytes(index)
    parts = [data[k * size : (k + 1) * size] for k in range(last + 1)]
    parts[-1] += end  # an end record is never cut
    for number, part in enumerate(parts[:-1], 1):
        archive.with_suffix(f".z{number:02d}").write_bytes(part)
    archive.write_bytes(parts[-1])
    return len(parts)
