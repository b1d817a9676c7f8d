"""Data: what goes into tasks and comes out of DAGs and loops."""

from typing import Any

import pytest

from kedge.pipelines.engine.types import Failure, ImportArtifact, RunStarted, StartStep, State, Values

BOOM = Failure("user", "ExitCode", "no", 1)


def plus_one(step: StartStep) -> Values:
    return Values({"out": step.inputs.parameters["a"] + 1})


class TestLoops:
    def body(self, build: Any, item: str = "NUMBER_INTEGER") -> Any:
        tasks = {"work": build.task("one", {"a": build.outer("item")})}
        return build.dag(tasks, {"item": item}, {"out": "LIST"}, {"out": ("work", "out")})

    def spec(self, build: Any, loop: Any, **more: Any) -> Any:
        components = {"one": build.step({"a": "NUMBER_INTEGER"}), "body": self.body(build), "sum": build.step({"xs": "LIST"})}
        tasks = {"loop": loop, "sum": build.task("sum", {"xs": build.out("loop")})}
        return build.pipeline(build.dag(tasks, **more), components)

    @staticmethod
    def work(step: StartStep) -> Values:
        return Values({"out": sum(step.inputs.parameters["xs"])}) if step.task == "sum" else plus_one(step)

    def test_outputs_are_collected_in_the_order_of_items(self, build: Any, world: Any) -> None:
        """Whatever the order in which iterations end."""
        run = world(self.spec(build, build.task("body", **build.over([5, 6, 7]))), self.work).go(lambda count: count - 1)
        assert run["loop"].outputs.parameters == {"out": [6, 7, 8]}
        assert run["sum"].outputs.parameters == {"out": 21}
        assert run["loop"].iterations == 3
        assert run["loop.1"].inputs.parameters == {"item": 6}

    def test_an_empty_list_is_a_loop_of_none(self, build: Any, world: Any) -> None:
        run = world(self.spec(build, build.task("body", **build.over([]))), self.work).go()
        assert (run["loop"].state, run["loop"].outputs.parameters) == (State.SUCCEEDED, {"out": []})
        assert run["sum"].state is State.SUCCEEDED

    @pytest.mark.parametrize("limit", [1, 2, 5])
    def test_no_more_iterations_run_at_a_time_than_allowed(self, build: Any, world: Any, limit: int) -> None:
        run = world(self.spec(build, build.task("body", **build.over(list(range(5)), limit=limit))), self.work)
        run.tell(RunStarted(run.now))
        most = 0
        while run.events():
            most = max(most, sum(t.iteration is not None and not t.state.finished for t in run.rows.values()))
            run.deliver(run.events()[-1]())
        assert most == limit
        assert run["sum"].inputs.parameters == {"xs": [1, 2, 3, 4, 5]}

    def test_one_bad_iteration_fails_the_loop_after_the_others_ended(self, build: Any, world: Any) -> None:
        def work(step: StartStep) -> Any:
            return BOOM if step.task == "loop.0.work" else self.work(step)

        run = world(self.spec(build, build.task("body", **build.over([1, 2, 3], limit=1))), work).go()
        assert [run[f"loop.{i}"].state for i in range(3)] == ["FAILED", "SUCCEEDED", "SUCCEEDED"]
        assert (run["loop"].state, run["loop"].outputs, run["sum"].state) == (State.FAILED, None, State.SKIPPED)
        assert run.finish.failure.task == "loop.0.work"

    @pytest.mark.parametrize(
        ("given", "items"),
        [
            pytest.param([3, 4], [3, 4], id="list"),
            pytest.param("[3, 4]", [3, 4], id="json-text"),
            pytest.param("x", None, id="text"),
        ],
    )
    def test_items_may_come_from_an_input(self, build: Any, world: Any, given: Any, items: Any) -> None:
        """The whole list is an input of the loop; an iteration's row has only its item."""
        kind = "LIST" if isinstance(given, list) else "STRING"
        body = self.body(build)
        body["inputDefinitions"]["parameters"]["list"] = {"parameterType": kind}
        components = {"one": build.step({"a": "NUMBER_INTEGER"}), "body": body}
        loop = build.task("body", {"list": build.outer("list")}, **build.over("list"))
        spec = build.pipeline(build.dag({"loop": loop}, {"list": kind}), components)
        run = world(spec, plus_one, parameters={"list": given}).go()
        if items is None:
            assert run["loop"].failure.message == "the items to loop over (input 'list'): expected a list, got text (x)"
        else:
            assert run["loop"].outputs.parameters["out"] == [i + 1 for i in items]
            assert run["loop.0"].inputs.parameters == {"item": items[0]}

    @pytest.mark.parametrize(
        ("items", "message"),
        [
            pytest.param([1, "x"], "item 1 of the loop: expected an integer (such as 5), got text (x)", id="type"),
            pytest.param([1, None], "item 1 of the loop: it is null, and the loop's body needs a value", id="null"),
        ],
    )
    def test_an_item_that_does_not_fit_fails_its_iteration(self, build: Any, world: Any, items: Any, message: str) -> None:
        run = world(self.spec(build, build.task("body", **build.over(items))), self.work).go()
        assert message in run["loop.1"].failure.message
        assert (run["loop.0"].state, run["loop"].state) == (State.SUCCEEDED, State.FAILED)

    def test_an_optional_item_may_be_null(self, build: Any, world: Any) -> None:
        components = {
            "one": build.step({"a": {"parameterType": "STRING", "isOptional": True}}),
            "body": build.dag(
                {"work": build.task("one", {"a": build.outer("item")})}, {"item": {"parameterType": "STRING", "isOptional": True}}
            ),
        }
        run = world(build.pipeline(build.dag({"loop": build.task("body", **build.over([None, "x"]))}), components)).go()
        assert [run[f"loop.{i}.work"].inputs.parameters for i in range(2)] == [{}, {"a": "x"}]

    def test_parts_of_an_item_are_selected(self, build: Any, world: Any) -> None:
        """``item.a`` in the language."""
        select = 'parseJson(string_value)["a"]["b"]'
        tasks = {"work": build.task("one", {"a": build.outer("item", select)})}
        components = {"one": build.step({"a": "NUMBER_INTEGER"}), "body": build.dag(tasks, {"item": "STRUCT"})}
        items = [{"a": {"b": 1}}, {"a": {"b": 2}}, {"a": {}}]
        run = world(build.pipeline(build.dag({"loop": build.task("body", **build.over(items))}), components), plus_one).go()
        assert [run[f"loop.{i}.work"].inputs.parameters for i in range(2)] == [{"a": 1}, {"a": 2}]
        assert run["loop.2.work"].failure.message == "the input 'a': there is no 'b' (there is nothing)"

    @pytest.mark.parametrize("kind", ["STRUCT", "STRING"])
    def test_parts_of_an_item_in_an_f_string_as_kfp_compiles_them(self, build: Any, world: Any, kind: str) -> None:
        """An input that nothing gives is passed down from the root; what it stands for is a part of the item."""
        part = "pipelinechannel--item-subvar-b"
        inside = {"s": build.const(f"b={{{{$.inputs.parameters['{part}']}}}}"), part: build.outer(part)}
        inputs = {"pipelinechannel--item": kind, part: "NUMBER_INTEGER"}
        components = {"one": build.step({"s": "STRING"}), "body": build.dag({"work": build.task("one", inside)}, inputs)}
        loop = build.task(
            "body", {part: build.outer("item-subvar-b")}, **build.over([{"b": "x"}, {"c": 1}, "[", 3], "pipelinechannel--item")
        )
        run = world(build.pipeline(build.dag({"loop": loop}), components)).go()
        assert run["loop.0.work"].inputs.parameters == {"s": "b=x", part: "x"}
        bad = "stands for the input 'pipelinechannel--item-subvar-b', which has no value"
        if kind == "STRING":
            assert [bad in run[f"loop.{i}.work"].failure.message for i in (1, 2, 3)] == [True] * 3

    def test_loops_in_loops_collect_nested_lists_and_flat_artifacts(self, build: Any, world: Any, make_artifact: Any) -> None:
        step = build.step({"a": "NUMBER_INTEGER", "b": "NUMBER_INTEGER"}, {"out": "NUMBER_INTEGER", "@data": "system.Dataset"})
        both = {"out": "LIST", "@data": {"artifactType": {"schemaTitle": "system.Dataset"}, "isArtifactList": True}}
        inner = build.dag(
            {"work": build.task("one", {"a": build.outer("outer"), "b": build.outer("item")})},
            {"outer": "NUMBER_INTEGER", "item": "NUMBER_INTEGER"},
            both,
            {"out": ("work", "out"), "@data": ("work", "data")},
        )
        outer = build.dag(
            {"inner": build.task("inner", {"outer": build.outer("item")}, **build.over([1, 2]))},
            {"item": "NUMBER_INTEGER"},
            both,
            {"out": ("inner", "out"), "@data": ("inner", "data")},
        )
        last = build.step({"xs": "LIST", "@all": {"artifactType": {"schemaTitle": "system.Dataset"}, "isArtifactList": True}})
        tasks = {
            "outer": build.task("outer", **build.over([10, 20])),
            "last": build.task("last", {"xs": build.out("outer"), "@all": build.artifact("outer")}),
        }

        def work(pod: StartStep) -> Values:
            if pod.task == "last":
                return Values({"out": 0})
            return Values({"out": sum(pod.inputs.parameters.values())}, {"data": [make_artifact(pod.task)]})

        components = {"one": step, "inner": inner, "outer": outer, "last": last}
        run = world(build.pipeline(build.dag(tasks), components), work).go(lambda count: count - 1)
        assert run["last"].inputs.parameters == {"xs": [[11, 12], [21, 22]]}
        names = [a.name for a in run["last"].inputs.artifacts["all"]]
        assert names == [f"outer.{i}.inner.{j}.work" for i in range(2) for j in range(2)]

    def test_artifacts_can_be_looped_over(self, build: Any, world: Any, make_artifact: Any) -> None:
        listed = {"artifactType": {"schemaTitle": "system.Dataset"}, "isArtifactList": True}
        components = {
            "make": build.step({}, {"@data": listed}),
            "use": build.step({"@one": "system.Dataset"}),
            "body": build.dag(
                {"use": build.task("use", {"@one": build.outer_artifact("item")})}, {"@all": listed, "@item": "system.Dataset"}
            ),
        }
        iterator = {"artifactIterator": {"items": {"inputArtifact": "all"}, "itemInput": "item"}}
        tasks = {"make": build.task("make"), "loop": build.task("body", {"@all": build.artifact("make")}, **iterator)}
        made = [make_artifact("x"), make_artifact("y")]
        run = world(
            build.pipeline(build.dag(tasks), components),
            lambda step: Values({}, {"data": made}) if step.task == "make" else Values({"out": 1}),
        ).go()
        assert [run[f"loop.{i}.use"].inputs.artifacts["one"] for i in range(2)] == [[made[0]], [made[1]]]

    def test_a_step_can_be_looped_over_without_a_dag_around_it(self, build: Any, world: Any) -> None:
        components = {"one": build.step({"a": "NUMBER_INTEGER", "b": "NUMBER_INTEGER"}), "sum": build.step({"xs": "LIST"})}
        tasks = {
            "loop": build.task("one", {"b": build.const(1)}, **build.over([1, 2], item="a"), **build.retry(1)),
            "sum": build.task("sum", {"xs": build.out("loop")}),
        }
        run = world(
            build.pipeline(build.dag(tasks), components),
            lambda s: BOOM if (s.task, s.attempt) == ("loop.1", 0) else Values({"out": s.inputs.parameters.get("a", 0)}),
        ).go()
        assert run["sum"].inputs.parameters == {"xs": [1, 2]}
        assert run["loop.1"].attempt == 1
        assert run["loop.0"].inputs.parameters == {"a": 1, "b": 1}

    def test_an_iteration_whose_branch_was_not_taken_has_no_place_in_the_list(self, build: Any, world: Any) -> None:
        branch = build.dag(
            {"w": build.task("one", {"a": build.outer("x")})},
            {"x": "NUMBER_INTEGER"},
            {"out": "NUMBER_INTEGER"},
            {"out": ("w", "out")},
        )
        body = build.dag(
            {"if": build.task("branch", {"x": build.outer("item")}, **build.when("int(inputs.parameter_values['x']) > 1"))},
            {"item": "NUMBER_INTEGER"},
            {"out": "LIST"},
            {"out": ("if", "out")},
        )
        components = {
            "one": build.step({"a": "NUMBER_INTEGER"}),
            "branch": branch,
            "body": body,
            "sum": build.step({"xs": "LIST"}),
        }
        tasks = {"loop": build.task("body", **build.over([1, 2, 3])), "sum": build.task("sum", {"xs": build.out("loop")})}
        run = world(build.pipeline(build.dag(tasks), components), self.work).go()
        assert run["sum"].inputs.parameters == {"xs": [3, 4]}


class TestBranches:
    """If, Elif, Else and OneOf."""

    def spec(self, build: Any) -> Any:
        x = "inputs.parameter_values['x']"
        one = {"parameterType": "STRING"}
        branch = build.dag(
            {"w": build.task("make")},
            {"x": "STRING"},
            {"out": "STRING", "@data": "system.Dataset"},
            {"out": ("w", "out"), "@data": ("w", "data")},
        )
        conditions = {"b1": f"{x} == 'a'", "b2": f"!({x} == 'a') && {x} == 'b'", "b3": f"!({x} == 'a') && !({x} == 'b')"}
        branches = build.dag(
            {name: build.task("branch", {"x": build.outer("x")}, **build.when(text)) for name, text in conditions.items()},
            {"x": "STRING"},
            {"out": one, "@data": "system.Dataset"},
            {"out": [(name, "out") for name in conditions], "@data": [(name, "data") for name in conditions]},
        )
        components = {
            "make": build.step({}, {"out": "STRING", "@data": "system.Dataset"}),
            "branch": branch,
            "branches": branches,
            "use": build.step({"v": "STRING", "@d": "system.Dataset"}),
        }
        tasks = {
            "branches": build.task("branches", {"x": build.outer("x")}),
            "use": build.task("use", {"v": build.out("branches"), "@d": build.artifact("branches")}),
        }
        return build.pipeline(build.dag(tasks, {"x": "STRING"}), components)

    @pytest.mark.parametrize(("x", "taken"), [("a", "b1"), ("b", "b2"), ('it\'s "x"', "b3")])
    def test_one_branch_runs_and_its_outputs_are_the_groups(
        self, build: Any, world: Any, make_artifact: Any, x: str, taken: str
    ) -> None:
        def work(step: StartStep) -> Values:
            return Values({"out": 1}) if step.task == "use" else Values({"out": step.task}, {"data": [make_artifact(step.task)]})

        run = world(self.spec(build), work, parameters={"x": x}).go()
        assert run.ran() == [f"branches.{taken}.w", "use"]
        assert run["use"].inputs.parameters == {"v": f"branches.{taken}.w"}
        assert run["use"].inputs.artifacts["d"][0].name == f"branches.{taken}.w"
        assert run.finish.state is State.SUCCEEDED

    def test_what_needs_the_output_of_a_branch_not_taken_is_skipped(self, build: Any, world: Any) -> None:
        branch = build.dag(
            {"w": build.task("make")},
            {},
            {"out": "NUMBER_INTEGER", "@data": "system.Dataset"},
            {"out": ("w", "out"), "@data": ("w", "data")},
        )
        around = build.dag(
            {"if": build.task("branch", **build.when("false"))},
            {},
            {"out": "NUMBER_INTEGER", "@data": "system.Dataset"},
            {"out": ("if", "out"), "@data": [("if", "data")]},
        )
        components = {
            "make": build.step({}, {"out": "NUMBER_INTEGER", "@data": "system.Dataset"}),
            "branch": branch,
            "around": around,
            "a": build.step({"v": "NUMBER_INTEGER"}),
            "b": build.step({"@d": "system.Dataset"}),
            "c": build.step(
                {
                    "v": {"parameterType": "NUMBER_INTEGER", "isOptional": True},
                    "@d": {"artifactType": {"schemaTitle": "x"}, "isOptional": True},
                }
            ),
        }
        tasks = {
            "around": build.task("around"),
            "a": build.task("a", {"v": build.out("around")}),
            "b": build.task("b", {"@d": build.artifact("around")}),
            "c": build.task("c", {"v": build.out("around"), "@d": build.artifact("around")}),
        }
        run = world(build.pipeline(build.dag(tasks), components)).go()
        assert (run["a"].state, run["b"].state, run["c"].state) == (State.SKIPPED, State.SKIPPED, State.SUCCEEDED)
        assert run["a"].failure.message == "around gave no output 'out': the branch that makes it was not taken"
        assert run["c"].inputs == Values()
        assert run.finish.state is State.SUCCEEDED


class TestParameters:
    def go(self, build: Any, world: Any, definition: Any, source: Any, parameters: Any = None, **run: Any) -> Any:
        tasks = {"a": build.task("c", {"v": source, **(parameters or {})})}
        inputs = {"v": definition, **dict.fromkeys(parameters or {}, "STRING")}
        return world(build.pipeline(build.dag(tasks), {"c": build.step(inputs)}), **run).go()["a"]

    @pytest.mark.parametrize(
        ("kind", "value", "resolved"),
        [
            ("STRING", 11.0, "11"),
            ("STRING", {"a": [1, True]}, '{"a":[1,true]}'),
            ("STRING", "x", "x"),
            ("NUMBER_INTEGER", 11.0, 11),
            ("NUMBER_INTEGER", 2**70, 2**70),
            ("NUMBER_DOUBLE", 1, 1.0),
            ("BOOLEAN", False, False),
            ("LIST", [1, "a"], [1, "a"]),
            ("STRUCT", {"a": 1}, {"a": 1}),
        ],
    )
    def test_constants(self, build: Any, world: Any, kind: str, value: Any, resolved: Any) -> None:
        found = self.go(build, world, kind, build.const(value)).inputs.parameters["v"]
        assert (found, type(found)) == (resolved, type(resolved))

    @pytest.mark.parametrize(
        ("constant", "resolved"),
        [
            ("{{$.pipeline_job_name}}", "my run"),
            ("{{$.pipeline_job_resource_name}}", "run-1"),
            ("{{$.pipeline_job_uuid}}", "run-1"),
            ("{{$.pipeline_task_name}}", "a"),
            ("{{$.pipeline_root}}/x", "s3://b/x"),
            ("{{$.pipeline_job_create_time_utc}}", "2026-11-23T09:00:00Z"),
            ("{{$.pipeline_job_schedule_time_utc}}", "2026-11-23T09:00:00Z"),
            ("x={{$.inputs.parameters['other']}}, y={{$.inputs.parameters[\"other\"]}}", "x=7, y=7"),
            ("{{$}} {{$.outputs.output_file}} {{$x}}", "{{$}} {{$.outputs.output_file}} {{$x}}"),
        ],
    )
    def test_placeholders_in_constants(self, build: Any, world: Any, constant: str, resolved: str) -> None:
        facts = {"display_name": "my run", "pipeline_root": "s3://b"}
        task = self.go(build, world, "STRING", build.const(constant), {"other": build.const(7)}, **facts)
        assert task.inputs.parameters["v"] == resolved

    def test_inputs_that_the_compiler_added_have_the_type_of_what_they_are_given(self, build: Any, world: Any) -> None:
        """An f-string, or a resource that comes from a parameter, refers to them; the component does not declare them."""
        added = {"pipelinechannel--n": build.outer("n"), "pipelinechannel--o": build.outer("o")}
        tasks = {"a": build.task("c", {"v": build.const("n={{$.inputs.parameters['pipelinechannel--n']}}"), **added})}
        optional = {"parameterType": "STRING", "isOptional": True}
        spec = build.pipeline(build.dag(tasks, {"n": "NUMBER_INTEGER", "o": optional}), {"c": build.step({"v": "STRING"})})
        run = world(spec, parameters={"n": 3}).go()
        assert run["a"].inputs.parameters == {"v": "n=3", "pipelinechannel--n": 3}

    def test_a_tasks_uuid_is_its_own_and_lasting(self, build: Any, world: Any) -> None:
        one, two = (self.go(build, world, "STRING", build.const("{{$.pipeline_task_uuid}}")).inputs for _ in range(2))
        assert one == two
        assert len(one.parameters["v"]) == 36

    def test_references_inside_lists_and_mappings_keep_their_type(self, build: Any, world: Any) -> None:
        ref = "{{$.inputs.parameters['n']}}"
        tasks = {
            "a": build.task("c", {"v": build.const({"n": ref, "t": f"n={ref}", "l": [ref, 1], ref: None}), "n": build.const(3)})
        }
        run = world(build.pipeline(build.dag(tasks), {"c": build.step({"v": "STRUCT", "n": "NUMBER_INTEGER"})})).go()
        assert run["a"].inputs.parameters["v"] == {"n": 3, "t": "n=3", "l": [3, 1], "3": None}

    def test_values_that_look_like_placeholders_are_data(self, build: Any, world: Any) -> None:
        tasks = {"a": build.task("c", {"v": build.outer("p")})}
        spec = build.pipeline(build.dag(tasks, {"p": "STRING"}), {"c": build.step({"v": "STRING"})})
        run = world(spec, parameters={"p": "{{$.pipeline_root}}"}, pipeline_root="s3://secret").go()
        assert run["a"].inputs.parameters["v"] == "{{$.pipeline_root}}"

    def test_a_reference_to_an_input_without_value_fails_the_task(self, build: Any, world: Any) -> None:
        inputs = {"v": "STRING", "o": {"parameterType": "STRING", "isOptional": True}}
        tasks = {"a": build.task("c", {"v": build.const("{{$.inputs.parameters['o']}}"), "o": build.outer("p")})}
        spec = build.pipeline(build.dag(tasks, {"p": {"parameterType": "STRING", "isOptional": True}}), {"c": build.step(inputs)})
        run = world(spec).go()
        assert (
            run["a"].failure.message
            == "the input 'v': {{$.inputs.parameters['o']}} stands for the input 'o', which has no value. Give it one"
        )

    @pytest.mark.parametrize(
        ("definition", "given", "inside", "step"),
        [
            pytest.param({"defaultValue": 5}, {}, 5, {"v": 5}, id="default"),
            pytest.param({"defaultValue": 5}, {"p": 6}, 6, {"v": 6}, id="given"),
            pytest.param({"isOptional": True}, {}, None, {}, id="optional"),
            pytest.param({"isOptional": True, "defaultValue": None}, {}, None, {}, id="null-default"),
            pytest.param({"isOptional": True}, {"p": None}, None, {}, id="null-given"),
        ],
    )
    def test_defaults_and_nulls(  # noqa: PLR0917  # a row of the table
        self, build: Any, world: Any, definition: Any, given: Any, inside: Any, step: Any
    ) -> None:
        """A DAG passes its default or null on; a step's optional input that was given nothing is left out."""
        kind = {"parameterType": "NUMBER_INTEGER"}
        optional = {**kind, "isOptional": True}
        nested = build.dag({"s": build.task("c", {"v": build.outer("q")})}, {"q": {**kind, **definition}})
        components = {"c": build.step({"v": optional}), "nested": nested}
        tasks = {"passed": build.task("nested", {"q": build.outer("p")}), "omitted": build.task("nested")}
        run = world(build.pipeline(build.dag(tasks, {"p": {**kind, **definition}}), components), parameters=given).go()
        assert run["passed"].inputs.parameters.get("q") == inside
        assert run["passed.s"].inputs.parameters == step
        assert run["omitted.s"].inputs.parameters == ({"v": 5} if definition.get("defaultValue") else {})

    @pytest.mark.parametrize(
        ("definition", "source", "message"),
        [
            pytest.param("NUMBER_INTEGER", "text", "the input 'v': expected an integer (such as 5), got text (abc)", id="type"),
            pytest.param("NUMBER_INTEGER", "null", "the input 'v': it is null, and the component needs a value", id="null"),
            pytest.param(
                {"parameterType": "STRING", "literals": ["x", "y"]}, "text", "expected one of x, y, got text (abc)", id="literal"
            ),
        ],
    )
    def test_a_value_that_does_not_fit_fails_the_task(
        self, build: Any, world: Any, definition: Any, source: str, message: str
    ) -> None:
        root = {"text": "STRING", "null": {"parameterType": "NUMBER_INTEGER", "isOptional": True}}
        tasks = {"a": build.task("c", {"v": build.outer(source)})}
        spec = build.pipeline(build.dag(tasks, root), {"c": build.step({"v": definition})})
        run = world(spec, parameters={"text": "abc"}).go()
        assert (run["a"].state, run["a"].failure.reason) == (State.FAILED, "InputInvalid")
        assert message in run["a"].failure.message

    def test_an_item_of_an_untyped_list_is_read_as_what_the_step_wants(self, build: Any, world: Any) -> None:
        """A loop over a plain ``list`` declares its items as text."""
        body = build.dag({"w": build.task("one", {"a": build.outer("item")})}, {"item": "STRING"})
        components = {"one": build.step({"a": "NUMBER_INTEGER"}), "body": body}
        run = world(build.pipeline(build.dag({"loop": build.task("body", **build.over([1, 2]))}), components), plus_one).go()
        assert run["loop.0"].inputs.parameters == {"item": "1"}
        assert run["loop.0.w"].inputs.parameters == {"a": 1}


class TestArtifacts:
    def test_an_optional_artifact_that_was_not_given_is_left_out(self, build: Any, world: Any) -> None:
        optional = {"artifactType": {"schemaTitle": "system.Dataset"}, "isOptional": True}
        nested = build.dag({"s": build.task("c", {"@d": build.outer_artifact("d")})}, {"@d": optional})
        run = world(
            build.pipeline(build.dag({"n": build.task("nested")}), {"c": build.step({"@d": optional}), "nested": nested})
        ).go()
        assert run["n.s"].inputs == Values()

    def test_a_required_artifact_that_was_not_given_fails_the_task(self, build: Any, world: Any) -> None:
        optional = {"artifactType": {"schemaTitle": "system.Dataset"}, "isOptional": True}
        nested = build.dag({"s": build.task("c", {"@d": build.outer_artifact("d")})}, {"@d": optional})
        run = world(
            build.pipeline(build.dag({"n": build.task("nested")}), {"c": build.step({"@d": "system.Dataset"}), "nested": nested})
        ).go()
        assert run["n.s"].failure.message == "the input artifact 'd' was not given. Give it, or declare the input Optional"

    def test_an_artifact_that_a_step_did_not_make_fails_who_needs_it(self, build: Any, world: Any) -> None:
        components = {"make": build.step({}, {"@data": "system.Dataset"}), "use": build.step({"@d": "system.Dataset"})}
        tasks = {"m": build.task("make"), "u": build.task("use", {"@d": build.artifact("m")})}
        run = world(build.pipeline(build.dag(tasks), components), lambda step: Values()).go()
        assert run["u"].failure.message == "m gave no output 'data'. Write it in every case, or declare the input Optional"

    def test_the_runs_outputs_are_the_roots(self, build: Any, world: Any, make_artifact: Any) -> None:
        components = {"c": build.step({}, {"out": "NUMBER_INTEGER", "@data": "system.Dataset"})}
        root = build.dag(
            {"a": build.task("c")}, {}, {"n": "NUMBER_INTEGER", "@d": "system.Dataset"}, {"n": ("a", "out"), "@d": ("a", "data")}
        )
        made = make_artifact("x")
        run = world(build.pipeline(root, components), lambda step: Values({"out": 4}, {"data": [made]})).go()
        assert run.finish.outputs == Values({"n": 4}, {"d": [made]})


class TestImporters:
    def spec(self, build: Any, importer: Any, inputs: Any = None, given: Any = None) -> Any:
        components = {
            "imp": {**build.component(inputs or {}, {"@artifact": "system.Model"}), "executorLabel": "imp"},
            "use": build.step({"@m": "system.Model"}),
        }
        tasks = {"i": build.task("imp", given or {}), "u": build.task("use", {"@m": build.artifact("i", "artifact")})}
        schema = {"schemaTitle": "system.Model", "schemaVersion": "0.0.2"}
        return build.pipeline(
            build.dag(tasks, {"where": {"parameterType": "STRING", "defaultValue": ""}}),
            components,
            {"imp": {"importer": {"typeSchema": schema, **importer}}},
        )

    def test_a_constant_address_and_resolved_metadata(self, build: Any, world: Any) -> None:
        importer = {
            "artifactUri": {"constant": "s3://b/k"},
            "metadata": {"n": "{{$.inputs.parameters['n']}}", "x": [1]},
            "reimport": True,
        }
        run = world(self.spec(build, importer, {"n": "NUMBER_INTEGER"}, {"n": build.const(3)}))
        (told,) = run.tell(RunStarted(run.now))
        assert isinstance(told, ImportArtifact)
        assert (told.artifact.uri, told.artifact.type, told.artifact.version) == ("s3://b/k", "system.Model", "0.0.2")
        assert (told.artifact.metadata, told.reimport) == ({"n": 3, "x": [1]}, True)
        run.go()
        assert run["u"].inputs.artifacts["m"] == [told.artifact]

    @pytest.mark.parametrize(("where", "state"), [("s3://b/k", "SUCCEEDED"), ("", "FAILED")])
    def test_an_address_from_an_input(self, build: Any, world: Any, where: str, state: str) -> None:
        importer = {"artifactUri": {"runtimeParameter": "uri"}}
        spec = self.spec(build, importer, {"uri": "STRING"}, {"uri": build.outer("where")})
        run = world(spec, parameters={"where": where}).go()
        assert run["i"].state == state
        if state == "FAILED":
            assert "the artifact's address: expected text such as s3://bucket/key" in run["i"].failure.message
