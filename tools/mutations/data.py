"""Readers, images, batches, samplers."""

CHANGES = {
    "vlrouting/data/datasets/vqa_annotations.py": [
        (
            "SOFT_SCORES = (0.0, 0.3, 0.6, 0.9, 1.0)",
            "SOFT_SCORES = (0.0, 0.3, 0.6, 1.0)",
            "three annotators are enough",
        ),
        ("if len(answers) != ANSWERS:", "if not answers:", "nine answers are read"),
        ("        if type(answer) is not str:", "        if False:", "an answer without its text is read"),
        ("if answer_type not in ANSWER_TYPES:", "if False:", "an unknown answer type is read"),
        ("if data_type not in DATA_TYPES:", "if False:", "a file of another dataset is read"),
        ("if question_id in by_question:", "if False:", "the second annotation of a question wins"),
    ],
    "vlrouting/data/datasets/vqav2.py": [
        ("if found.image_id != image_id:", "if False:", "files that do not belong together are read"),
        ("        _check_ids(seen, path, annotations)", "        pass", "questions without annotations are read"),
        ("if question_id in seen:", "if False:", "a question is there twice"),
        ("annotations.data_subtype != subtype:", "False:", "annotations of another split are read"),
        ('.replace(",", "")', "", "answers of the vocabulary keep their commas"),
        ("_TEST_IMAGES)", "_TEST_IMAGES[:4])", "test2015 has other images"),
    ],
    "vlrouting/data/datasets/per_split_list.py": [
        ("and 0 <= score <= 1", "", "a score above 1 is read"),
        (
            'scores = labels if "label" in record else soft_scores(found.answers)',
            "scores = soft_scores(found.answers)",
            "the list's own scores are ignored",
        ),
        (
            'answer=max(labels, key=labels.__getitem__, default="")',
            'answer=next(iter(labels), "")',
            "the first label is the answer, not the best",
        ),
    ],
    "vlrouting/data/datasets/vqa_images.py": [
        ('f"COCO_{subtype}_{image_id:012d}"', 'f"COCO_{subtype}_{image_id}"', "{img_id} has no leading zeros"),
        (
            '(match["subtype"], int(match["image_id"])) if match',
            '(match["subtype"], 1) if match',
            "all records of a list have one image",
        ),
    ],
    "vlrouting/data/datasets/karpathy.py": [
        ('PARTS = {"train": ("train", "restval")}', "PARTS: dict[str, tuple[str, ...]] = {}", "restval does not train"),
        ("if cocoid in seen:", "if False:", "an image is there twice"),
        ("found != expected:", "False:", "a truncated file of COCO is read"),
        ('subtype=folder or ".", image_id=cocoid', 'subtype=folder or ".", image_id=number', "imgid for cocoid"),
    ],
    "vlrouting/data/datasets/coco.py": [
        ("if image_id in captions:\n            raise", "if False:\n            raise", "an image is there twice"),
        ("    if without_caption:", "    if False:", "an image without captions"),
        ("    if unknown:\n", "    if False:\n", "captions of unknown images are dropped in silence"),
    ],
    "vlrouting/data/datasets/captions.py": [
        ('" ".join(line for line in lines if line)', '"".join(line for line in lines if line)', "words grow together"),
        ("    if not all(cleaned):", "    if False:", "an empty caption is read"),
        ('id=f"{example.id}#{number}"', "id=example.id", "captions of an image share an id"),
        ('side="right"', 'side="left"', "a caption belongs to the image before"),
    ],
    "vlrouting/data/datasets/gqa_examples.py": [
        ("labels={answer: 1.0} if answer else {}", "labels={answer: 0.9} if answer else {}", "another target"),
        ('if ("answer" in record) != answered:', "if False:", "records with and without answers are mixed"),
    ],
    "vlrouting/data/datasets/gqa_records.py": [
        ("if question_id in seen:", "if False:", "a question is there twice"),
        ("keys = SCORED_KEYS if balanced else SCORED_KEYS[:2]", "keys = SCORED_KEYS[:2]", "records lack types"),
    ],
    "vlrouting/data/datasets/nlvr2.py": [
        ("for side in (0, 1))", "for side in (1, 0))", "left and right are exchanged"),
        (
            'ANSWERS = {"True": "true", "False": "false"}',
            'ANSWERS = {"True": "false", "False": "true"}',
            "true is false",
        ),
        ("if identifier in seen:", "if False:", "a record is there twice"),
        ("if bool(answer) != answered:", "if False:", "lines with and without labels are mixed"),
    ],
    "vlrouting/data/datasets/json_stream.py": [
        ("    if (text[position:] + file.read(BLOCK)).strip():", "    if False:", "what follows the object is ignored"),
    ],
    "vlrouting/data/datasets/json_records.py": [
        ("if type(value) in kinds:", "if isinstance(value, kinds):", "true is an integer"),
        ("if blank or _VISIBLE.search(value):", "if True:", "a blank text is read"),
        (
            "        if not line.strip():\n            continue",
            "        if not line.strip():\n            break",
            "a blank line ends the file",
        ),
    ],
    "vlrouting/data/datasets/evenly_spaced.py": [
        ("if limit is None or limit >= len(examples):", "if True:", "evaluate.limit is ignored"),
        ("index * len(self.whole) // len(self)", "index", "the first examples, not evenly spaced ones"),
    ],
    "vlrouting/data/datasets/columns.py": [
        (
            "self._ends.append(len(self._text))",
            "self._ends.append(self._ends[-1] + len(string))",
            "letters outside of ASCII shift the strings",
        ),
        ("self._codes[string] = len(self._codes)", "self._codes[string] = 0", "codes of other strings"),
    ],
    "vlrouting/data/datasets/stored_examples.py": [
        ("type(example.id) is int", "isinstance(example.answer, int)", "ids that are numbers become texts"),
        ("labelled = np.diff(self.stored", "labelled = 1 + np.diff(self.stored", "examples without labels are counted"),
        ("below.append(inside is not None)", "below.append(True)", "images outside of the root are looked for in it"),
        (
            "unique = len(np.unique(np.array(hashes))) == len(hashes)",
            "unique = True",
            "an id that occurs twice counts twice",
        ),
    ],
    "vlrouting/data/datasets/example_index.py": [
        (
            'found.append([f"{name}/{file.name}" if file != path else name, stat.st_size, stat.st_mtime_ns])',
            "found.append([name, stat.st_size, 0])",
            "a changed file is not read",
        ),
        (
            "return not leads_out(StoredExamples(stored, root).image_paths(), root, split)",
            "return True",
            "links are checked once",
        ),
        ("abs(time.time() - newest) < SETTLED_SECONDS", "False", "a file that is still being written is indexed"),
        (
            'if stored.facts.get("sources") != before:',
            "if False:",
            "a file that changed while it was read is taken for read",
        ),
    ],
    "vlrouting/data/datasets/read.py": [
        (
            "json.dumps([data.name, name, asdict(split), *dataset.settings])",
            "json.dumps([data.name, name])",
            "other settings have the same index",
        ),
    ],
    "vlrouting/data/array_file.py": [
        ("if self._checksum != expected:", "if False:", "a damaged file is used"),
        (
            'with atomically(path) as temporary, temporary.open("wb") as file:',
            'with path.open("wb") as file:',
            "half a file is left behind",
        ),
    ],
    "vlrouting/data/index_folder.py": [
        (
            "return _opened(folder / name.file, usable) or _made(folder, name, make)",
            "return _made(folder, name, make)",
            "every process reads the data",
        ),
        ("            other.unlink()", "            pass", "old files stay for ever"),
        ("{state}|{code_digest()}", "{state}", "what older code has read is used"),
    ],
    "vlrouting/data/content_hash.py": [
        ("example.text, example.answers,", "example.text, len(example.answers),", "references are not hashed"),
        ("[image_name(path, root) for", "[str(path) for", "the hash depends on the machine"),
        ("        self._flush()\n        return", "        return", "the last thousand examples are not hashed"),
    ],
    "vlrouting/data/example.py": [
        ('return "/".join(path.parts[-2:])', "return whole", "clusters depend on the machine"),
    ],
    "vlrouting/data/datasets/image_paths.py": [
        (" and _LEADS_OUT.search(value)", " and False", "a data file names files outside of the data root"),
        (
            "        if target is not None:\n            raise",
            "        if False:\n            raise",
            "links lead out of the data root",
        ),
        (
            'path.startswith(base.rstrip("/") + "/")',
            "path.startswith(base)",
            "a folder whose name begins alike is inside",
        ),
        (' or links.get("")', "", "a folder that is a link leads out of the data root"),
        (
            "(root, root.joinpath(*top), root / named)",
            "(root, root / named)",
            "a user's link to the images is refused",
        ),
        ("if any(names <= used for names in self.identify):", "if used:", "several records get one image"),
    ],
    "vlrouting/data/datasets/recipe_folder.py": [
        ("if found.get(key) != value", "if False", "a folder made in another way is used"),
        ("            shutil.rmtree(unfinished)", "            pass", "what a kill left is kept"),
    ],
    "vlrouting/data/images.py": [
        (
            "return _as_shown(_upright(image, _orientation(image)), image, path)",
            "return _as_shown(image, image, path)",
            "images lie on their side",
        ),
        (
            'Image.new("RGBA", rgba.size, "white")',
            'Image.new("RGBA", rgba.size, "black")',
            "what is transparent is black",
        ),
        ('image.convert("I")) / 65535', 'image.convert("I")) / 255', "16 bits are white"),
        ("6: Image.Transpose.ROTATE_270,", "6: Image.Transpose.ROTATE_90,", "images stand on their head"),
        ("        brightness = 1 - brightness\n", "        pass\n", "a TIFF where white is zero is a negative"),
        ('and "adobe" not in opened.info', "and False", "a plain JPEG in CMYK is a negative"),
        (
            "    except Exception:\n        return 1\n",
            "    except ZeroDivisionError:\n        return 1\n",
            "a damaged tag makes an image unreadable",
        ),
        ("gray[np.rint(brightness * 65535) == transparent] = 255", "pass", "what is transparent in gray is not white"),
        ('image.convert("RGB")', 'image.convert("L").convert("RGB")', "images are gray"),
    ],
    "vlrouting/data/loading/batch.py": [
        ('self["labels"] != IGNORED', 'self["labels"] != 0', "padding counts as target tokens"),
        (
            "visual(example.images) for example in examples",
            "visual(examples[0].images) for _ in examples",
            "all rows have the first image",
        ),
        (
            "self.vocabulary.encode(example.labels)",
            "self.vocabulary.encode({example.answer: 1.0})",
            "hard targets for soft ones",
        ),
    ],
    "vlrouting/data/loading/text_batch.py": [
        (
            "row[len(prompt) : len(prompt) + len(text)] = torch.tensor(text)",
            "row[len(prompt) : len(prompt) + len(text) - 1] = torch.tensor(text[:-1])",
            "the end token is never learned",
        ),
        ("[] if prefixed else [start]", "[start]", "a start token after the image"),
        ("data.max_target_tokens - 1, special", "data.max_target_tokens, special", "a target is one token longer"),
        ('padded(prompts, side="left")', "padded(prompts)", "generation continues after padding"),
        ('return f" {answer}" if', "return answer if", "no space before the text"),
        (
            'f"answer after {self.data.prompt}") + 1',
            'f"answer after {self.data.prompt}")',
            "end tokens are not counted for the loss",
        ),
        (", empty=len(self._start))", ")", "a start token is not counted"),
    ],
    "vlrouting/data/loading/tokens.py": [
        ("truncation=True", "truncation=False", "long prompts are not cut"),
        ("|{self._fingerprint}|", "|", "the tokens of another tokenizer are used"),
        ("{identity.subject}|{made}", "{identity.subject}", "prompts and answers share a file"),
        (
            "return rows if rows[:_COMPARED] == first else self._tokenize(texts)",
            "return rows",
            "a tokenizer's own code is passed over",
        ),
        (
            "identity is None or self.root is None or len(examples) < LEAST_KEPT",
            "identity is None or self.root is None",
            "a file for a few texts",
        ),
        ("attention_mask[number, place] = 1", "attention_mask[number] = 1", "padding is seen"),
        ("pad = self.tokenizer.pad_token_id or 0", "pad = 1", "another token pads"),
    ],
    "vlrouting/data/loading/token_table.py": [
        ("return found\n\n\ndef tokenised", "return found + 1\n\n\ndef tokenised", "other lengths"),
        ("if each not in numbers", "if True", "a text of two blocks is there twice"),
        (
            'lengths[self.stored["numbers"][self._digests == np.uint64(digest(""))]] = empty',
            "pass",
            "an empty prompt has no start token",
        ),
    ],
    "vlrouting/data/loading/tokenizer_fingerprint.py": [
        ("        rules.pop(call, None)", "        pass", "the latest call changes the fingerprint"),
        ('not kind.__module__.startswith("transformers.")', "False", "code that may change has a fingerprint"),
        ("tokenizer.truncation_side, ", "", "the side that is cut does not count"),
    ],
    "vlrouting/data/loading/vocabulary.py": [
        ("kept = sorted((-count, answer)", "kept = sorted((count, answer)", "the rarest answer comes first"),
        ("if count >= min_count)", "if count > min_count)", "min_answer_count is off by one"),
        ("questions[normalize(answer)] += count", "questions[normalize(answer)] = count", "spellings are not added up"),
        (
            "setdefault(normalized[example.answer], set())",
            "setdefault(example.answer, set())",
            "answers are not normalised",
        ),
        ("targets[index] = score", "targets[index] = 1.0", "hard targets"),
        ("if len(indices) != len(self.answers):", "if False:", "an answer twice in the vocabulary"),
    ],
    "vlrouting/data/loading/sampler.py": [
        (
            "generator = torch.Generator().manual_seed(_mix(self.seed, epoch))",
            "generator = torch.Generator().manual_seed(_mix(0, epoch))",
            "the seed does not change the order",
        ),
        ("manual_seed(_mix(self.seed, epoch))", "manual_seed(_mix(self.seed, 0))", "every epoch has one order"),
        ("[:, self.rank :: self.world_size]", "[:, 0 :: self.world_size]", "all ranks train on one share"),
        ("chunk[torch.argsort(self._lengths[chunk], stable=True)]", "chunk", "batches of all lengths"),
        ("[torch.randperm(self.steps, generator=generator)]", "", "batches in the order of their length"),
        ("np.argsort(-np.asarray", "np.argsort(np.asarray", "the longest come last"),
        (
            "share = order[rank::world_size].tolist()",
            "share = order[rank : rank + len(order) // world_size].tolist()",
            "ranks evaluate the same examples",
        ),
        ("if examples < batch_size:", "if False:", "a split without one batch trains nothing"),
        ("        if not self._batches[-1]:", "        if False:", "a rank has an empty batch"),
    ],
    "vlrouting/data/loading/run_sampler.py": [
        (
            "first_epoch, done = divmod(self.start, len(self.batches))",
            "first_epoch, done = divmod(0, len(self.batches))",
            "a resumed run begins the data anew",
        ),
        ("            done = 0\n", "", "later epochs of a resumed run lose batches"),
        ("self._tokens.of(number // self.batches.accumulate)", "self._tokens.of(number)", "tokens of another step"),
        ("/ self.batches.micro_batches", "", "the loss is not a mean over micro-batches"),
    ],
    "vlrouting/data/loading/step_tokens.py": [
        ("if epoch != self._epoch:", "if self._epoch < 0:", "token counts of the first epoch"),
    ],
    "vlrouting/data/loading/round_robin.py": [
        ("turns(start, len(batches), turn)", "turns(0, len(batches), turn)", "a resumed run begins a dataset anew"),
        ("tokens.get(name)", "None", "the loss of several datasets is a mean of means"),
        ("for position in range(self.start, self.total)", "for position in range(0, self.total)", "another turn"),
    ],
    "vlrouting/data/loading/source.py": [
        ("batch.loss_tokens = chosen.loss_tokens", "pass", "a mean of means"),
        ("counts[sampled.drawn(epoch)]", "counts[sampled.drawn(0)]", "the tokens of other answers"),
        ("self.sampled.example(index, chosen.epoch)", "self.sampled.example(index, 0)", "the same answers every epoch"),
        ("batch.dataset = self.name", "pass", "a batch has the name of a reader"),
    ],
    "vlrouting/data/loading/sampled_answers.py": [
        ("if score > 0 and text}", "if text}", "an answer without a score is a target"),
        ("share * np.diff(below)", "share", "the first answers are drawn too often"),
        ("_seed(self.seed, epoch)", "_seed(0, epoch)", "the answers do not depend on the seed"),
    ],
    "vlrouting/data/loading/datamodule.py": [
        (
            "self.run_batches, self._batches_done = batches, done",
            "self.run_batches, self._batches_done = batches, 0",
            "a resumed run begins the data anew",
        ),
        ("self.config.micro_batches)", "1)", "selectors see batches that do not fit into memory"),
        ("num_workers=workers,", "num_workers=0,", "train.workers is ignored"),
    ],
    "vlrouting/data/datasets/json_text.py": [
        ("parse_constant=Unusable, ", "", "NaN is a number"),
        ("if len(found) != len(pairs):", "if False:", "of two equal keys the second wins"),
        ("if text[end:].strip():", "if False:", "what follows the JSON is ignored"),
        ('encoding="utf-8-sig")\n    except', 'encoding="utf-8")\n    except', "a byte order mark is no JSON"),
        (
            "    if text.isascii():\n        return None\n",
            "    if True:\n        return None\n",
            "half of a surrogate pair is text",
        ),
        (
            "        except RecursionError:\n            raise Inv",
            "        except ZeroDivisionError:\n            raise Inv",
            "a file that nests deeply is a traceback",
        ),
        (
            "except ValueError:  # Python refuses",
            "except ZeroDivisionError:  # Python refuses",
            "thousands of digits are a traceback",
        ),
    ],
}
