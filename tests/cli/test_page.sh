#!/usr/bin/env bash
# A report in headless Chromium, where there is one: no console messages, nothing covers anything, text can be read.
source "$(dirname "$0")/lib.sh"
command -v chromium >/dev/null || command -v google-chrome >/dev/null || { echo "there is no Chromium"; exit 77; }
cd "$folder" || exit 1
succeeds bench peak --case 256x64x64 --time 0.02 -o mine.json
succeeds report mine.json -o mine.html
timeout 250 "$root/scripts/check-page" mine.html >out 2>err || fail "the page has problems"
prints "mine.html: fine"

# It can fail: a label over another, pale text, a page that is too wide, and a message.
sed 's|</main>|<p style="color:#ccc">pale</p><div style="width:2000px">wide</div><script>console.log("hello")</script></main>|
     s|text-anchor="middle">TFLOPS|&|; s|<text class="title" x="4" y="18.0">|<text x="4" y="18">label</text>&|' mine.html >bad.html
timeout 250 "$root/scripts/check-page" bad.html >out 2>err && fail "nothing was found in a bad page"
for text in contrast "is 20" hello covers; do prints "$text"; done
echo fine
