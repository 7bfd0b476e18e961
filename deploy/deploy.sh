#!/usr/bin/env bash
# Build, start, verify, and go back if it fails: the whole of deploy/compose.yaml on this machine.
#
#   deploy/deploy.sh                 this checkout: build its images, replace the replicas one after the other
#   deploy/deploy.sh --tag TAG       images that are there already, or in IRIS_REGISTRY: pull instead of build
#   deploy/deploy.sh --back          the tag before this one
#   deploy/deploy.sh --dry-run       say what would be done, and do nothing
#
# Running it again with nothing new changes nothing. The engine is the program in IRIS_ENGINE (docker).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

engine=${IRIS_ENGINE:-docker} state=${IRIS_DEPLOY_STATE:-$PWD/state} secrets=${IRIS_DEPLOY_SECRETS:-$PWD/secrets}
tag='' pull=no back=no dry=no
while (($#)); do
    case $1 in
    --tag) tag=${2:?--tag needs a name} pull=yes; shift ;;
    --back) back=yes ;;
    --dry-run) dry=yes ;;
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' deploy.sh; exit 0 ;;
    *) echo "deploy.sh: there is no option $1; --help lists them." >&2; exit 2 ;;
    esac
    shift
done

say() { printf '%s\n' "$*"; }
# Everything that changes something goes through here.
run() { if [ $dry = yes ]; then say "would run: $*"; else "$@"; fi; }
compose() { run env IRIS_TAG="$1" "$engine" compose --file compose.yaml "${@:2}"; }
remembered() { if [ -f "$state/$1" ]; then cat "$state/$1"; fi; }

of_checkout() {
    local commit changed
    commit=$(git rev-parse --short=12 HEAD)
    changed=$(git status --porcelain --untracked-files=no | wc -l)
    if ((changed)); then commit+=-$(git diff HEAD | sha256sum | cut -c1-8); fi
    printf '%s' "$commit"
}

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
# The folder is closed to others; the files are open to the containers' own users, who see nothing but their file.
secret() {
    if [ -s "$secrets/$1" ]; then return; fi
    say "A secret is made: $secrets/$1"
    if [ $dry = no ]; then printf '%s' "$2" >"$secrets/$1"; chmod 644 "$secrets/$1"; fi
}
make_secrets() {
    local key password
    key=$(random) password=$(random)
    if [ $dry = no ]; then mkdir -p "$secrets" "$state"; chmod 700 "$secrets"; fi
    secret postgres_password "$password"
    if [ -f "$secrets/postgres_password" ]; then password=$(cat "$secrets/postgres_password"); fi
    secret IRIS_DATABASE_URL "postgresql://iris:$password@postgres/iris"
    secret smoke_key "$key"
    if [ -f "$secrets/smoke_key" ]; then key=$(cat "$secrets/smoke_key"); fi
    secret IRIS_API_KEYS "smoke:$(printf '%s' "$key" | sha256sum | cut -d' ' -f1)"
    secret IRIS_DASHBOARD_TOKEN "$(random)"
    secret grafana_password "$(random)"
}

have_champion() { compose "$1" run --rm --no-deps --entrypoint test train -f /var/lib/iris/bundles/champion.json; }
predicts() {
    say "A prediction through the proxy:"
    if [ $dry = yes ]; then compose "$1" exec -T serve-a predicts http://proxy:8000; return; fi
    compose "$1" exec -T serve-a predicts http://proxy:8000 <"$secrets/smoke_key"
}
# One replica after the other: the first stays until the second answers, and a bad image meets only one of them.
start() {
    compose "$1" up --detach --no-deps --wait --wait-timeout 120 serve-a &&
        compose "$1" up --detach --no-deps --wait --wait-timeout 120 serve-b &&
        compose "$1" up --detach --wait --wait-timeout 300 &&
        predicts "$1"
}

command -v "$engine" >/dev/null || { say "deploy.sh: there is no $engine here; IRIS_ENGINE names another engine." >&2; exit 1; }
before=$(remembered now)
if [ $back = yes ]; then
    tag=$(remembered before)
    if [ -z "$tag" ]; then say "deploy.sh: there is nothing to go back to." >&2; exit 1; fi
fi
tag=${tag:-$(of_checkout)}
say "Deploying $tag${before:+, where $before runs}."
make_secrets

if [ $pull = yes ]; then compose "$tag" pull --quiet --policy missing serve-a serve-b watch dashboard mlflow train
elif [ $back = no ]; then IRIS_REVISION=$tag compose "$tag" --profile train build --quiet
fi || { say "deploy.sh: the images can't be had; nothing was changed." >&2; exit 1; }

compose "$tag" up --detach --wait --wait-timeout 180 postgres mlflow
if ! have_champion "$tag"; then
    say "There is no champion yet, so one is trained."
    compose "$tag" run --rm train || { say "deploy.sh: the training failed; the replicas were not touched." >&2; exit 1; }
fi

if start "$tag"; then
    if [ $dry = no ] && [ "$tag" != "$before" ]; then
        printf '%s' "$before" >"$state/before"
        printf '%s' "$tag" >"$state/now"
    fi
    if [ $dry = yes ]; then say "That is what would be done."; else say "$tag answers."; fi
    exit 0
fi

say "deploy.sh: $tag does not answer as it should." >&2
compose "$tag" logs --tail 30 serve-a serve-b >&2 || true
if [ -z "$before" ] || [ "$before" = "$tag" ]; then
    say "deploy.sh: there is nothing to go back to; the replicas are stopped." >&2
    compose "$tag" stop serve-a serve-b
    exit 1
fi
say "deploy.sh: going back to $before." >&2
if start "$before"; then say "deploy.sh: $before answers again." >&2
else say "deploy.sh: $before does not answer either; this needs a person." >&2
fi
exit 1
