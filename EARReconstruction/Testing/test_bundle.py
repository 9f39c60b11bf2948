"""A bundle gives back its network, and refuses everything that is not wholly a bundle without running any of it."""

import json
import pickle
import stat
import struct
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from EARReconstructionLib import bundle as module
from EARReconstructionLib.bundle import Bundle, load_bundle, save_bundle
from EARReconstructionLib.errors import BundleError, EARError
from EARReconstructionLib.geometry import BiplanarGeometry
from EARReconstructionLib.model_card import FORMAT_VERSION, METADATA_KEY, ModelCard, installed_bundles, read_header
from EARReconstructionLib.networks import NETWORKS, build
from safetensors import safe_open
from safetensors.torch import save_file

#: The smallest of each architecture that runs in no time.
SMALL = {
    "EAR": {"width": 2},
    "E2E": {"width": 2},
    "PSR": {"size": 32, "width": 1 / 64},
    "SIT": {"size": 32},
    "BX2S": {"width": 4},
}


def card(architecture="E2E", arguments=None, **changes):
    fields = {
        "name": "tiny",
        "architecture": architecture,
        "arguments": SMALL[architecture] if arguments is None else arguments,
        "size": 32,
        "spacing_mm": 3.0,
        "lift": "backproject",
        "hu_mean": -912.25,
        "hu_sd": 310.5,
        "threshold_hu": -350.0,
        "angle_range_deg": (74.0, 106.0),
        "sod_range_mm": (530.0, 1600.0),
        "protocol": "column",
        "levels": ("T12", "L1"),
        "data_licence": "CC BY-SA 4.0",
        "provenance": {"shapes": ["VERSE verse004"], "steps": 3, "validation_dice": 0.5},
    }
    return ModelCard(**{**fields, **changes})


def trained(architecture="E2E", arguments=None):
    """A network whose every tensor, running statistics included, differs from a fresh one's."""
    torch.manual_seed(3)
    network = build(architecture, **(SMALL[architecture] if arguments is None else arguments))
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if "running" in name:
                value.add_(0.1 * torch.randn_like(value).abs())
            elif value.is_floating_point():
                value.add_(0.01 * torch.randn_like(value))
            else:
                value.add_(17)
    return network.eval()


def network_input_of(network):
    generator = torch.Generator().manual_seed(5)
    shape = (1, 2, 32, 32) if network.input_kind == "images" else (1, 2, 32, 32, 32)
    return torch.randn(shape, generator=generator)


@pytest.fixture
def path(tmp_path):
    """A sound bundle of a small network."""
    path = tmp_path / "tiny.safetensors"
    save_bundle(path, card(), trained())
    return path


def rewritten(path, change):
    """The same weights under a header that ``change`` was applied to."""
    header = read_header(path)
    weights = dict(load_bundle(path).weights)
    header = change(header) or header
    save_file(weights, path, metadata={METADATA_KEY: header if isinstance(header, str) else json.dumps(header)})
    return path


def forged(path, **changes):
    """A card with changed or removed (...) fields, under a checksum that fits it."""
    header = read_header(path)
    weights = dict(load_bundle(path).weights)
    fields = {k: v for k, v in {**header["card"], **changes}.items() if v is not ...}
    header = {"version": FORMAT_VERSION, "card": fields, "sha256": module._digest(fields, weights)}
    save_file(weights, path, metadata={METADATA_KEY: json.dumps(header)})
    return path


def refusal(path):
    """The text with which a file is refused: it names the file and says what to do."""
    with pytest.raises(BundleError) as caught:
        load_bundle(path).network()
    error = caught.value
    assert str(path) in str(error)
    assert error.cause
    assert error.advice
    return str(error)


class TestRoundTrip:
    @pytest.mark.parametrize("architecture", NETWORKS)
    def test_output_is_that_of_the_network_with_half_precision_weights(self, architecture, tmp_path):
        network = trained(architecture)
        with torch.inference_mode():
            expected = network(network_input_of(network))
        loaded = load_bundle(save_bundle(tmp_path / "a.safetensors", card(architecture), network).path).network()
        assert type(loaded) is type(network)
        assert not loaded.training
        assert all(p.dtype == torch.float32 for p in loaded.parameters())
        for name, value in network.state_dict().items():
            rounded = value.half().float() if value.is_floating_point() else value
            assert torch.equal(loaded.state_dict()[name], rounded), name
            value.copy_(rounded)
        with torch.inference_mode():
            x = network_input_of(network)
            half, again = network(x), loaded(x)
        assert torch.equal(again.volume, half.volume)
        assert (again.edges is None) == (half.edges is None)
        if half.edges is not None:
            assert torch.equal(again.edges, half.edges)
        error = (again.volume - expected.volume).abs().max() / expected.volume.abs().max()
        assert error < 5e-3
        assert error > 0  # the comparison is with something that was rounded

    def test_card(self, path):
        loaded = load_bundle(path)
        assert loaded.card == card()
        assert isinstance(loaded.card.levels, tuple)
        assert isinstance(loaded.card.angle_range_deg, tuple)
        assert loaded.path == path

    def test_what_saving_returns_is_what_loading_gives(self, tmp_path):
        saved = save_bundle(tmp_path / "deep" / "a.safetensors", card(), trained())
        loaded = load_bundle(saved.path)
        assert (saved.card, saved.sha256, saved.path) == (loaded.card, loaded.sha256, loaded.path)
        assert saved.weights.keys() == loaded.weights.keys()
        assert all(torch.equal(saved.weights[name], loaded.weights[name]) for name in saved.weights)

    def test_the_hash_is_of_weights_and_card_not_of_the_file(self, tmp_path):
        hashes = [
            save_bundle(tmp_path / name, one, network).sha256
            for name, one, network in [
                ("a.safetensors", card(), trained()),
                ("b.safetensors", card(), trained()),
                ("c.safetensors", card(threshold_hu=-300.0), trained()),
                ("d.safetensors", card(), build("E2E", width=2)),
            ]
        ]
        assert hashes[0] == hashes[1]
        assert len(set(hashes)) == 3
        assert all(len(h) == 64 for h in hashes)

    def test_the_file_is_half_the_size_of_float32(self, path):
        floats = 2 * sum(p.numel() for p in trained().parameters())
        assert path.stat().st_size < floats + 30_000

    @pytest.mark.parametrize("architecture", NETWORKS)
    def test_in_eight_bits_each_weight_moves_by_half_a_step_at_most(self, architecture, tmp_path):
        network = trained(architecture)
        with torch.no_grad():
            next(v for v in network.parameters() if v.ndim > 1)[0] = 0.0  # a row without a scale
        saved = save_bundle(tmp_path / "a.safetensors", card(architecture), network, eight_bits=True)
        loaded = load_bundle(saved.path)
        moved = 0
        for name, value in network.state_dict().items():
            back = loaded.weights[name].float()
            assert back.shape == value.shape
            assert torch.equal(back, saved.weights[name].float())
            if value.ndim > 1:
                rows = value.flatten(1)
                step = rows.abs().amax(1, keepdim=True) / 127
                assert ((back.flatten(1) - rows).abs() <= 0.5001 * step).all()
                moved += int((back != value).sum())
            else:
                torch.testing.assert_close(back, value.float(), rtol=1e-3, atol=1e-6)
        assert moved > 0
        x = network_input_of(network)
        with torch.inference_mode():
            expected, found = network(x).volume, loaded.network()(x).volume
        assert (found - expected).abs().mean() < 0.05 * expected.abs().mean()

    @pytest.mark.parametrize("damage", ["no weight", "rows"])
    def test_scales_that_do_not_fit_are_refused(self, tmp_path, damage):
        path = save_bundle(tmp_path / "a.safetensors", card(), trained(), eight_bits=True).path
        header = read_header(path)
        with safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        name = next(n for n in weights if n.endswith(module.SCALE))
        if damage == "rows":
            weights[name] = torch.ones(weights[name].numel() + 1)
        else:
            weights["other" + module.SCALE] = weights.pop(name)
        header["sha256"] = module._digest(header["card"], weights)
        save_file(weights, path, metadata={METADATA_KEY: json.dumps(header)})
        assert "scales" in refusal(path)

    def test_eight_bits_take_half_the_room(self, path, tmp_path):
        small = save_bundle(tmp_path / "a.safetensors", card(), trained(), eight_bits=True)
        assert small.path.stat().st_size < sum(p.numel() for p in trained().parameters()) + 60_000
        assert small.path.stat().st_size < path.stat().st_size
        assert small.sha256 != load_bundle(path).sha256

    def test_saving_leaves_the_network_as_it_was(self, tmp_path):
        network = trained()
        before = {k: v.clone() for k, v in network.state_dict().items()}
        save_bundle(tmp_path / "a.safetensors", card(), network)
        for name, value in network.state_dict().items():
            assert value.dtype == before[name].dtype
            assert torch.equal(value, before[name])

    def test_others_can_read_the_file(self, path):
        """A model in a shared folder is for everyone: as any file that this user makes."""
        ordinary = path.with_name("ordinary")
        ordinary.touch()
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)

    def test_provenance_and_field_may_be_left_out(self, path):
        assert load_bundle(forged(path, provenance=...)).card.provenance == {}
        assert load_bundle(forged(path, field=...)).card.field == "cube"
        assert load_bundle(forged(path, error_calibration=...)).card.error_calibration == ()

    def test_a_calibration_comes_back(self, tmp_path):
        measured = ((0.0, 1.0), (0.5, 1.0), (2.25, 3.5))
        save_bundle(tmp_path / "a.safetensors", card(error_calibration=measured), trained())
        assert load_bundle(tmp_path / "a.safetensors").card.error_calibration == measured

    def test_an_unknown_field_is_refused(self, path):
        with pytest.raises(BundleError, match="sphere"):
            load_bundle(forged(path, field="sphere"))

    def test_installed_bundles_are_listed_by_name(self, tmp_path):
        for name in ("b.safetensors", "a.safetensors", "notes.txt", ".half-written.safetensors"):
            (tmp_path / name).touch()
        assert [p.name for p in installed_bundles(tmp_path)] == ["a.safetensors", "b.safetensors"]
        assert installed_bundles(tmp_path / "none") == []


class TestSaving:
    @pytest.mark.parametrize("earlier", [True, False])
    def test_a_failure_leaves_nothing_behind_and_an_older_file_alone(self, tmp_path, monkeypatch, earlier):
        path = tmp_path / "a.safetensors"
        if earlier:
            save_bundle(path, card(), trained())
        before = path.read_bytes() if earlier else None

        def fails(place, content):
            with place.open("wb") as stream:
                stream.write(content[:100])
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", fails)
            with pytest.raises((OSError, EARError)):
                save_bundle(path, card(), build("E2E", width=2))
        assert [p.name for p in tmp_path.iterdir()] == (["a.safetensors"] if earlier else [])
        assert not earlier or path.read_bytes() == before

    def test_a_value_beyond_half_precision_is_kept(self, tmp_path):
        """1e5 would become infinite in half precision, and every output with it."""
        network = trained()
        with torch.no_grad():
            next(network.parameters()).view(-1)[0] = 1e5
        saved = save_bundle(tmp_path / "a.safetensors", card(), network)
        loaded = load_bundle(saved.path).network()
        assert torch.equal(next(loaded.parameters()), next(network.parameters()))

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_weights_that_are_no_numbers_are_refused(self, tmp_path, value):
        network = trained()
        with torch.no_grad():
            next(network.parameters()).view(-1)[0] = value
        with pytest.raises(BundleError, match=r"a\.safetensors"):
            save_bundle(tmp_path / "a.safetensors", card(), network)
        assert not any(tmp_path.iterdir())


class TestRefusal:
    def test_missing(self, tmp_path):
        assert "no such file" in refusal(tmp_path / "none.safetensors")

    def test_a_folder(self, tmp_path):
        refusal(tmp_path)

    @pytest.mark.parametrize("share", [0, 1e-9, 0.001, 0.01, 0.05, 0.3, 0.9, 0.999, 1.0])
    def test_truncated(self, path, share):
        content = path.read_bytes()
        path.write_bytes(content[: min(int(len(content) * share) + (0 < share < 1), len(content) - 1)])
        assert "truncated" in refusal(path)

    def test_every_cut_of_the_header(self, path):
        content = path.read_bytes()
        (length,) = struct.unpack("<Q", content[:8])
        for cut in [*range(0, 40), *range(40, length + 8, 97), length + 7, length + 8, length + 9]:
            path.write_bytes(content[:cut])
            refusal(path)

    def test_appended(self, path):
        path.write_bytes(path.read_bytes() + b"\0")
        refusal(path)

    @pytest.mark.parametrize(
        "content", [b"", b"PNG", b"\xff" * 4096, b"{}", b"\0" * 64, b"\x89PNG\r\n\x1a\n" + b"0" * 99]
    )
    def test_other_content(self, path, content):
        path.write_bytes(content)
        refusal(path)

    def test_another_version(self, path):
        rewritten(path, lambda h: h.update(version=FORMAT_VERSION + 1))
        text = refusal(path)
        assert f"version {FORMAT_VERSION + 1}" in text
        assert f"reads {FORMAT_VERSION}" in text

    @pytest.mark.parametrize("where", [0.2, 0.5, 0.99])
    def test_a_flipped_byte_in_the_weights(self, path, where):
        content = bytearray(path.read_bytes())
        (length,) = struct.unpack("<Q", content[:8])
        content[int(8 + length + where * (len(content) - 8 - length))] ^= 1
        path.write_bytes(content)
        assert "checksum" in refusal(path)

    def test_a_changed_card(self, path):
        def lower(header):
            header["card"]["threshold_hu"] = -900.0

        assert "checksum" in refusal(rewritten(path, lower))

    def test_no_checksum(self, path):
        assert "checksum" in refusal(rewritten(path, lambda h: h.pop("sha256") and None))

    def test_another_program_s_safetensors(self, path):
        for metadata in (None, {"format": "pt"}):
            save_file({"weight": torch.zeros(3)}, path, metadata=metadata)
            assert "not an EAR bundle" in refusal(path)

    @pytest.mark.parametrize(
        "header",
        ["", "{", "[]", "7", "null", '"text"', "{}", '{"version": 1}', '{"version": 1, "card": []}', "[" * 99999],
    )
    def test_a_header_that_is_none(self, path, header):
        refusal(rewritten(path, lambda _: header or " "))

    @pytest.mark.parametrize("name", sorted(asdict(card()).keys() - {"provenance", "field", "error_calibration"}))
    def test_a_missing_field(self, path, name):
        assert name in refusal(forged(path, **{name: ...}))

    def test_an_unknown_field(self, path):
        assert "colour" in refusal(forged(path, colour="red"))

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), None, "much", [1]])
    @pytest.mark.parametrize("name", ["spacing_mm", "hu_mean", "hu_sd", "threshold_hu", "size"])
    def test_a_field_that_is_no_number(self, path, name, value):
        refusal(forged(path, **{name: value}))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("hu_sd", 0.0),
            ("hu_sd", -1.0),
            ("spacing_mm", 0.0),
            ("size", 0),
            ("size", 10**30),
            ("angle_range_deg", [float("nan"), 100.0]),
            ("angle_range_deg", [80.0]),
            ("sod_range_mm", [500.0, float("nan")]),
            ("sod_range_mm", 1000.0),
            ("levels", []),
            ("levels", ["L1", "X9"]),
            ("levels", "L1"),
            ("levels", None),
            ("arguments", 3),
            ("arguments", {"colour": 1}),
            ("arguments", {"width": "wide"}),
            ("provenance", "nobody"),
            ("error_calibration", 1.0),
            ("error_calibration", [[0.5, 1.0], [0.5, 2.0]]),
            ("error_calibration", [[0.5, 2.0], [1.0, 1.0]]),
            ("error_calibration", [[0.5, float("nan")]]),
            ("error_calibration", [[-0.5, 1.0]]),
            ("error_calibration", [[0.5, 1.0, 2.0]]),
        ],
    )
    def test_a_field_of_no_use(self, path, name, value):
        refusal(forged(path, **{name: value}))

    def test_an_unknown_architecture(self, path):
        text = refusal(forged(path, architecture="ViT"))
        assert "'ViT'" in text
        assert "EAR" in text

    def test_an_unknown_lift(self, path):
        assert "'magic'" in refusal(forged(path, lift="magic"))

    def test_weights_of_another_network(self, tmp_path):
        path = save_bundle(tmp_path / "a.safetensors", card(arguments={"width": 4}), trained()).path
        assert "do not fit" in refusal(path)
        path = save_bundle(tmp_path / "b.safetensors", card("EAR"), trained()).path
        assert "do not fit" in refusal(path)

    def test_a_missing_and_an_extra_tensor(self, tmp_path):
        sound = save_bundle(tmp_path / "a.safetensors", card(), trained())
        first = next(iter(sound.weights))
        without = {k: v for k, v in sound.weights.items() if k != first}
        for weights in (without, {**sound.weights, "extra": torch.zeros(2).half()}):
            with pytest.raises(BundleError, match="do not fit"):
                Bundle(card(), weights, "0", sound.path).network()

    def test_weights_of_a_kind_that_numpy_does_not_know(self, path):
        header = read_header(path)
        weights = {k: v.bfloat16() if v.is_floating_point() else v for k, v in load_bundle(path).weights.items()}
        save_file(weights, path, metadata={METADATA_KEY: json.dumps(header)})
        refusal(path)


class Bomb:
    """Unpickling it would make a file."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return open, (str(self.trace), "w")


class TestPickle:
    @pytest.fixture
    def trace(self, tmp_path):
        return tmp_path / "it ran"

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_a_raw_pickle_is_never_executed(self, path, trace, protocol):
        path.write_bytes(pickle.dumps(Bomb(trace), protocol))
        text = refusal(path)
        assert protocol < 2 or "pickle" in text  # the older protocols have no mark of their own
        assert not trace.exists()

    @pytest.mark.parametrize("zipped", [True, False])
    def test_a_pytorch_file_is_never_executed(self, path, trace, zipped):
        torch.save(
            {"state_dict": {"a": torch.zeros(2)}, "bomb": Bomb(trace)}, path, _use_new_zipfile_serialization=zipped
        )
        assert "pickle" in refusal(path)
        assert not trace.exists()

    def test_a_pickle_between_the_lines(self, path, trace):
        """In the header's texts nothing is ever run either."""
        refusal(forged(path, arguments={"width": pickle.dumps(Bomb(trace), 0).decode()}))
        assert not trace.exists()


class TestRangeNotes:
    def notes(self, angle, preset="default", protocol="in-situ"):
        return replace(card(), protocol=protocol).range_notes(BiplanarGeometry.from_preset(preset, angle_deg=angle))

    @pytest.mark.parametrize(("protocol", "words"), [("isolated", "single vertebrae"), ("column", "bare spines")])
    def test_a_model_that_never_saw_a_body(self, protocol, words):
        (note,) = self.notes(90, protocol=protocol)
        assert f"trained on X-rays of {words}" in note
        assert "of a patient" in note

    def test_inside_is_no_note(self):
        assert self.notes(90) == self.notes(75) == self.notes(105) == ()

    @pytest.mark.parametrize("angle", [60, 120])
    def test_angles(self, angle):
        (note,) = self.notes(angle)
        assert f"{angle} degrees" in note
        assert "74 to 106" in note

    def test_distances(self):
        near = replace(card(), protocol="in-situ", sod_range_mm=(900.0, 1600.0))
        notes = near.range_notes(BiplanarGeometry.from_preset("c-arm"))
        assert [("frontal" in n, "lateral" in n) for n in notes] == [(True, False), (False, True)]
        assert all("530 mm" in n and "900 to 1600 mm" in n for n in notes)

    def test_a_header_whose_length_looks_like_a_zip(self, path):
        """The first bytes of a sound file are a length, and a length may spell PK."""
        content = path.read_bytes()
        size = int.from_bytes(content[:8], "little")
        header = content[8 : 8 + size].rstrip(b" ")
        padded = int.from_bytes(b"PK\x00\x00\x00\x00\x00\x00", "little")
        assert padded > size
        path.write_bytes(padded.to_bytes(8, "little") + header.ljust(padded) + content[8 + size :])
        assert load_bundle(path).card == card()
