"""Files of one's own: good ones, broken ones, too large ones; and two pages that know nothing of each other."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
from EARReconstructionLib.app.files import safe_name, unpack
from EARReconstructionLib.errors import EARError

SAMPLE = Path(__file__).resolve().parents[2] / "Resources" / "SampleCase"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("C:\\X-rays\\AP.dcm", "AP.dcm"),
        ("../../etc/passwd", "passwd"),
        ("Röntgen Süd.seg.nrrd", "Röntgen Süd.seg.nrrd"),
        ("a\n\0b.png", "a__b.png"),
        ("..", "file"),
        ("", "file"),
        ("x" * 300 + ".nii.gz", "x" * 73 + ".nii.gz"),
    ],
)
def test_names_are_made_safe(given: str, kept: str) -> None:
    assert safe_name(given) == kept


_SCENE = '<MRML version="Slicer"><View id="v"/><VolumeArchetypeStorage id="s" {}/></MRML>'


def archive(path: Path, **files: str) -> Path:
    """An .mrb of these files, with underscores for points."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in files.items():
            made.writestr(f"scene/{name.replace('_', '.')}", text)
    return path


def test_a_scene_is_unpacked_without_its_windows(tmp_path: Path) -> None:
    scene = _SCENE.format('fileName="Data/L1%20volume.nrrd"')
    text = unpack(archive(tmp_path / "a.mrb", a_mrml=scene), tmp_path / "out", 10**6).read_text()
    assert "VolumeArchetypeStorage" in text
    assert "<View" not in text


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a_mrml": _SCENE.format('fileName="/etc/passwd"')}, "outside of itself"),
        ({"a_mrml": _SCENE.format('fileName="..%2F..%2Fpasswd"')}, "outside of itself"),
        ({"a_mrml": _SCENE.format('fileListMember0="../../passwd"')}, "outside of itself"),
        ({"a_mrml": _SCENE.format('uri="http://example.org/a.nrrd"')}, "outside of itself"),
        ({"a_mrml": _SCENE.format(""), "b_nrrd": "NRRD0005\ntype: short\ndata file: /etc/passwd\n\n"}, "second file"),
        ({"a_mrml": "<MRML>"}, "damaged"),
        ({"a_txt": "no scene"}, "damaged"),
        ({"a_mrml": _SCENE.format(""), "b_raw": "0" * 2 * 10**6}, "too large"),
    ],
)
def test_a_scene_that_reaches_out_is_refused(tmp_path: Path, files: dict[str, str], said: str) -> None:
    """Its files would be the server's."""
    with pytest.raises(EARError, match=said):
        unpack(archive(tmp_path / "a.mrb", **files), tmp_path / "out", 10**6)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mrb").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(EARError, match="damaged"):
        unpack(tmp_path / "a.mrb", tmp_path / "out", 10**6)


@pytest.fixture(scope="module")
def page(server: Any, browser: Any) -> Any:
    """An empty page."""
    browser.open(server.address)
    return browser


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, Path]:
    """The sample's radiographs as PNG, which tell no pixel size."""
    import SimpleITK as sitk

    made = {}
    for role in ("frontal", "lateral"):
        image = sitk.RescaleIntensity(sitk.ReadImage(str(SAMPLE / f"{role}.nrrd")), 0, 65535)
        made[role] = tmp_path / f"Bild {role} ü.png"
        sitk.WriteImage(sitk.Cast(image, sitk.sitkUInt16), str(made[role]))
    return made


def test_two_pictures_become_a_case(page: Any, pictures: dict[str, Path]) -> None:
    """What they do not tell is asked for in place."""
    for role, path in pictures.items():  # at once: the second waits for the first
        page.upload(role, path)
    for role in pictures:
        page.until(lambda role=role: role in page.state("asked") or role in page.state("xrays"))
        while role in page.state("asked"):
            question = page.state("asked")[role]
            field = page.driver.find_element("id", f"answer-{role}")
            if question["fact"] == "pixel_mm":
                field.clear()
                field.send_keys("1,04")
                # The other one's question may come meanwhile: it leaves alone what is typed.
                page.until(
                    lambda: all(other in page.state("asked") or other in page.state("xrays") for other in pictures)
                )
            page.click(f"answer-{role}-use")
            page.until(lambda role=role, question=question: page.state("asked").get(role) != question)
        page.until(lambda role=role: role in page.state("xrays"))
    page.until(lambda: page.state("step") == "vertebrae")
    assert page.state("xrays")["frontal"]["name"] == pictures["frontal"].name
    assert "1.04 mm" in page.state("xrays")["lateral"]["size"]
    assert page.state("xrays")["frontal"]["source"] == "preset default"


def test_geometry_is_typed(page: Any) -> None:
    """And what cannot be is refused in words."""
    page.show("xrays")
    page.call("type_geometry", "frontal", "sod_mm", "900")
    page.until(lambda: page.state("xrays")["frontal"]["geometry"]["sod_mm"] == 900)
    assert page.state("xrays")["frontal"]["source"] == "typed"
    page.call("type_geometry", "frontal", "sod_mm", "5000")
    page.until(lambda: page.state("message_kind") == "error")
    assert page.state("xrays")["frontal"]["geometry"]["sod_mm"] == 900


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("notes.txt", b"no picture at all", "notes.txt"),
        ("broken.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "broken.png"),
        ("empty.dcm", b"", "it is empty"),
        ("elsewhere.mhd", b"ObjectType = Image\nElementDataFile = /etc/passwd\n", "second file"),
        ("other.safetensors", b"\x10\0\0\0\0\0\0\0{}", "other.safetensors"),
        ("other.mrb", b"PK", "no scene of 3D Slicer"),
        ("elsewhere.nrrd", b"NRRD0005\ntype: short\ndata file: /etc/passwd\n\n", "second file"),
    ],
)
def test_bad_files_are_sentences(page: Any, tmp_path: Path, name: str, content: bytes, said: str) -> None:
    """The radiograph that is there stays, and no folder of the server is shown."""
    path = tmp_path / name
    path.write_bytes(content)
    page.driver.execute_script("window.trame.state.set('message', '')")
    page.show("xrays")
    before = page.state("xrays")
    if path.suffix in (".safetensors", ".mrb"):
        send(page, {".mrb": "scene", ".safetensors": "model"}[path.suffix], name, content.decode())
    else:
        page.upload("frontal", path)
    page.until(lambda: said in page.state("message"))
    assert page.state("message_kind") == "error"
    assert "/tmp" not in page.state("message")
    assert "0x" not in page.state("message")
    assert page.state("xrays") == before


def test_a_large_file_is_refused(page: Any, server: Any, tmp_path: Path) -> None:
    """By the page, and by the server when the page is made to send it."""
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(41 * 2**20)
    page.show("xrays")
    page.upload("frontal", path)
    page.until(lambda: "larger than 40 MB" in page.state("message"))
    page.driver.execute_script("window.trame.state.set('upload_mb', 100); window.trame.state.set('message', '')")
    page.upload("frontal", path)
    page.until(lambda: "larger than 40 MB" in page.state("message"))


def test_a_reference_is_read_or_refused(page: Any, tmp_path: Path) -> None:
    """It is shown by its name; a broken one is a sentence."""
    page.driver.execute_script("window.trame.state.set('message', '')")
    page.call("open_sample")
    page.until(lambda: page.state("step") == "reconstruct" and len(page.state("vertebrae")) == 8)
    send(page, "reference", "broken.stl", "solid nothing")
    page.until(lambda: "broken.stl" in page.state("message") and not page.state("busy"))
    assert page.state("reference") == ""
    send(page, "reference", "triangle.obj", "v 0 0 0\nv 9 0 0\nv 0 9 0\nv 0 0 9\nf 1 2 3\nf 1 2 4\nf 2 3 4\nf 1 3 4\n")
    page.until(lambda: page.state("reference") == "triangle.obj")


def send(page: Any, purpose: str, name: str, body: str) -> None:
    """Upload a text, past the page's own field."""
    page.driver.execute_script(
        "const [purpose, name, body] = arguments; const request = new XMLHttpRequest();"
        "request.open('POST', `upload/${purpose}?name=${encodeURIComponent(name)}`); request.send(body)",
        purpose,
        name,
        body,
    )


def test_two_pages_do_not_see_each_other(page: Any, server: Any) -> None:
    """Each has a scene of its own, in a process of its own."""
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    page.open(server.address)
    assert page.state("xrays") == {}
    assert page.state("vertebrae") == []
    page.click("open-sample")
    page.until(lambda: len(page.state("vertebrae")) == 8)
    page.call("start_over")
    page.until(lambda: page.state("vertebrae") == [])
    page.driver.close()
    page.driver.switch_to.window(first)
    assert len(page.state("vertebrae")) == 8
    assert page.state("reference") == "triangle.obj"
