"""Files under deploy/ are such as Ray, bash and this version of neocog take; the systems that they are for are not at hand."""

import re
import shutil
import subprocess

import pytest
import yaml
from imports import ROOT
from jsonschema import ValidationError
from ray.autoscaler._private.util import prepare_config, validate_config

DEPLOY = ROOT / "deploy"
SCRIPT = DEPLOY / "slurm.sbatch"


def lines() -> list[str]:
    return [line for path in sorted(DEPLOY.iterdir()) for line in path.read_text().splitlines()]


def test_ray_takes_the_file_for_a_cloud_and_refuses_a_wrong_one():
    config = yaml.safe_load((DEPLOY / "ray-up.yaml").read_text())
    validate_config(prepare_config(config))
    del config["available_node_types"]["head"]["node_config"]
    with pytest.raises(ValidationError, match="node_config"):
        validate_config(prepare_config(config))


def test_the_job_on_kubernetes_is_that_of_the_locked_ray_with_a_token():
    job = yaml.safe_load((DEPLOY / "kuberay.yaml").read_text())
    locked = re.search(r"^ray(?:\[[^\]]*\])?==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    cluster = job["spec"]["rayClusterSpec"]
    assert locked and cluster["rayVersion"] == locked[1]
    assert cluster["authOptions"] == {"mode": "token"} and job["spec"]["submitterConfig"] == {"backoffLimit": 0}


def test_all_of_them_use_one_image():
    assert len({image for line in lines() for image in re.findall(r"registry\.example\.org/\S+", line)}) == 1


def test_bash_reads_the_script_and_it_says_what_is_missing(tmp_path):
    subprocess.run(["bash", "-n", SCRIPT], check=True)
    if checker := shutil.which("shellcheck"):
        subprocess.run([checker, SCRIPT], check=True)
    environment = {"PATH": "/usr/bin:/bin", "SLURM_SUBMIT_DIR": str(tmp_path)}
    ended = subprocess.run(["bash", SCRIPT], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2 and "set NEOCOG_ENV" in ended.stderr


def test_each_runs_the_pipeline_by_options_that_there_are():
    said = subprocess.run(["neocog", "repro", "--help"], capture_output=True, text=True, check=True).stdout
    used = [
        re.findall(r" (--[a-z-]+)", line.partition("neocog repro")[2]) for line in lines() if "neocog repro" in line
    ]
    assert sum("--ray" in options for options in used) >= 3
    assert all(option in said for options in used for option in options)
    help_of_ray = subprocess.run(["ray", "symmetric-run", "--help"], capture_output=True, text=True, check=True).stdout
    assert "--min-nodes" in help_of_ray and "--min-nodes" in SCRIPT.read_text()
