#!/usr/bin/env bash
# Roll an overlay of deploy/kubernetes out, wait until it is healthy, ask for a prediction, and go back if that fails.
#
#   deploy/rollout.sh staging --tag TAG [--registry ghcr.io/iris-nb/iris_nb] [--dry-run]
#
# The cluster is kubectl's own (KUBECONFIG), or the one in KUBECONFIG_CONTENT. IRIS_KUBECTL names another kubectl.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

kubectl=${IRIS_KUBECTL:-kubectl} overlay='' tag='' registry=ghcr.io/iris-nb/iris_nb dry=no
while (($#)); do
    case $1 in
    --tag) tag=${2:?--tag needs a name}; shift ;;
    --registry) registry=${2:?--registry needs a name}; shift ;;
    --dry-run) dry=yes ;;
    -h | --help) sed -n '2,6s/^# \{0,1\}//p' rollout.sh; exit 0 ;;
    -*) echo "rollout.sh: there is no option $1; --help lists them." >&2; exit 2 ;;
    *) overlay=$1 ;;
    esac
    shift
done
if [ -z "$tag" ] || [ ! -f "kubernetes/overlays/$overlay/kustomization.yaml" ]; then
    echo "rollout.sh: it needs an overlay ($(cd kubernetes/overlays && echo *)) and --tag TAG." >&2
    exit 2
fi
command -v "$kubectl" >/dev/null || { echo "rollout.sh: there is no $kubectl here." >&2; exit 1; }

aside=$(mktemp -d)
trap 'rm -rf "$aside"' EXIT
if [ -n "${KUBECONFIG_CONTENT:-}" ]; then
    (umask 077; printf '%s' "$KUBECONFIG_CONTENT" >"$aside/config")
    export KUBECONFIG=$aside/config
fi

# The overlay with these images in it, the checkout as it was. Registries know lower case only.
cp -R kubernetes "$aside/kubernetes"
for image in serve watch dashboard; do
    printf '  - name: ghcr.io/iris-nb/iris_nb/%s\n    newName: %s/%s\n    newTag: "%s"\n' $image "${registry,,}" $image "$tag"
done >"$aside/images"
{ echo 'images:'; cat "$aside/images"; } >>"$aside/kubernetes/overlays/$overlay/kustomization.yaml"
"$kubectl" kustomize "$aside/kubernetes/overlays/$overlay" >"$aside/all.yaml"
if [ $dry = yes ]; then cat "$aside/all.yaml"; exit 0; fi

there() { "$kubectl" --namespace "iris-$overlay" "$@"; }
predicts() {
    local key
    key=$(there get secret iris-secrets --output 'jsonpath={.data.SMOKE_KEY}' | base64 --decode) &&
        printf '%s' "$key" | there exec --stdin deployment/iris-serve --container serve -- predicts http://127.0.0.1:8000
}
verify() {
    there rollout status deployment/iris-serve --timeout 300s &&
        there rollout status deployment/iris-dashboard --timeout 300s &&
        predicts
}

revision() { there get deployment "$1" --output 'jsonpath={.metadata.annotations.deployment\.kubernetes\.io/revision}' 2>/dev/null || true; }
serve_was=$(revision iris-serve) dashboard_was=$(revision iris-dashboard)
"$kubectl" apply --filename "$aside/all.yaml"
if verify; then
    echo "$tag answers in $overlay."
    exit 0
fi
echo "rollout.sh: $tag does not answer as it should in $overlay." >&2
there get pods >&2 || true
if [ -z "$serve_was" ]; then
    echo "rollout.sh: it is the first; there is nothing to go back to." >&2
    exit 1
fi
echo "rollout.sh: going back to revision $serve_was." >&2
# A revision that is still the newest was not replaced, and needs no way back.
if [ "$(revision iris-serve)" != "$serve_was" ]; then there rollout undo deployment/iris-serve --to-revision "$serve_was"; fi
if [ "$(revision iris-dashboard)" != "$dashboard_was" ]; then
    there rollout undo deployment/iris-dashboard --to-revision "$dashboard_was"
fi
if verify; then echo "rollout.sh: revision $serve_was answers again." >&2
else echo "rollout.sh: revision $serve_was does not answer either; this needs a person." >&2
fi
exit 1
