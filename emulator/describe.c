/* What there is to choose from, as JSON. */
#include "emulator/state.h"

#include <stdlib.h>
#include <string.h>

/* "a|b|c" -> ["a", "b", "c"] */
static json_t *words(const char *text) {
    json_t *list = json_array();
    for (const char *word = text; word;) {
        const char *end = strchr(word, '|');
        json_array_append_new(list, end ? json_stringn(word, (size_t)(end - word)) : json_string(word));
        word = end ? end + 1 : NULL;
    }
    return list;
}

static json_t *quirks(void) {
    static const char *const kinds[] = {"choice", "number", "set"};
    json_t *list = json_array();
    for (int i = 0; i < EM_QUIRK_COUNT; i++) {
        const em_quirk_info *q = &em_quirks[i];
        json_array_append_new(list,
            json_pack("{s:s, s:s, s:o, s:s, s:s, s:s}", "name", q->name, "kind", kinds[q->kind], "values",
                words(q->values), "default", q->otherwise, "what", q->what, "source", q->source));
    }
    return list;
}

static json_t *faults(void) {
    json_t *list = json_array();
    for (int i = 0; i < EM_FAULT_COUNT; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", em_faults[i].name, "arguments",
                                        em_faults[i].arguments, "what", em_faults[i].what));
    return list;
}

static json_t *settings(void) {
    const em_settings *s = em_state_settings();
    json_t *values = json_object();
    char text[160];
    for (int i = 0; i < EM_QUIRK_COUNT; i++)
        json_object_set_new(values, em_quirks[i].name,
            json_string(em_quirk_print((em_quirk)i, s->quirk[i], text, sizeof text)));
    return json_pack("{s:s, s:o, s:i}", "chip", s->chip->name, "quirks", values, "faults", s->n_faults);
}

char *anemone_emulator_describe(void) {
    if (em_state_chips()->n == 0) return NULL;
    json_t *chips = json_object_get(em_state_chips()->data, "chips");
    json_t *all = json_pack("{s:O, s:o, s:o, s:o, s:s}", "chips", chips, "quirks", quirks(), "faults",
        faults(), "settings", settings(), "message", anemone_emulator_message());
    char *text = all ? json_dumps(all, JSON_INDENT(1)) : NULL;
    json_decref(all);
    return text;
}
