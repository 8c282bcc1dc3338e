/* Anything that `anemone report` reads: what is accepted can be written as a page, as tables and as a submission, and is
 * compared with itself. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "measure/community.h"
#include "measure/compare.h"
#include "measure/documents.h"
#include "measure/report.h"

static void write_all(const json_t *documents) {
    bool (*const writers[])(ane_page * p, const ane_report *r, ane_error *e) = {
        ane_report_html, ane_report_markdown, ane_report_csv};
    const ane_report r = {.own = documents};
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++) {
        ane_error e = {0};
        ane_page page = {0};
        fuzz_assert(writers[i](&page, &r, &e), e.message);
        fuzz_assert(page.text && strlen(page.text) == page.used, "the page has a NUL in it");
        fuzz_assert(i > 0 || !strstr(page.text, "<script"), "a name became markup");
        free(page.text);
    }
}

static void look_at(const json_t *document) {
    ane_error e = {0};
    json_t *written = ane_community_submission(document, &e);
    fuzz_assert(written != NULL, e.message);
    json_decref(written);
    json_t *changes = ane_compare(document, document, &e);
    fuzz_assert(changes != NULL, e.message);
    json_decref(changes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[] = {"x.json", "log.jsonl"};
    for (int i = 0; i < 2; i++) {
        ane_error e = {0};
        json_t *documents = json_array(), *document;
        size_t k;
        bool ok = ane_documents_read(documents, fuzz_file(names[i], data, size), &e);
        fuzz_report_is(ok, &e);
        if (ok) {
            json_array_foreach(documents, k, document) {
                look_at(document);
            }
            write_all(documents);
        }
        json_decref(documents);
    }
    return 0;
}
