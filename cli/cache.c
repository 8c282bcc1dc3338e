/* cache.c - `anemone cache` and `anemone cache clear`: the compiled programs that are kept for later processes. */
#include "cli/commands.h"
#include "cli/common.h"

#include "device/ane/program_cache.h"

#include <stdlib.h>
#include <time.h>

static json_t *to_json(const ane_store *s, const ane_store_item *items, size_t n, size_t removed) {
    json_t *entries = json_array();
    int64_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += items[i].bytes;
        json_array_append_new(entries, json_pack("{s:s, s:I, s:I}", "key", items[i].key, "bytes",
                                           (json_int_t)items[i].bytes, "used", (json_int_t)items[i].used));
    }
    return json_pack("{s:s, s:I, s:I, s:I, s:o}", "path", s->folder, "bytes", (json_int_t)bytes, "max_bytes",
        (json_int_t)s->max_bytes, "removed", (json_int_t)removed, "entries", entries);
}

static void print(const ane_store *s, const ane_store_item *items, size_t n, size_t removed) {
    int64_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        char when[32];
        time_t used = (time_t)items[i].used;
        struct tm local;
        if (!localtime_r(&used, &local) || !strftime(when, sizeof when, "%Y-%m-%d %H:%M", &local))
            snprintf(when, sizeof when, "?");
        printf("%.16s  %10.1f KB  used %s\n", items[i].key, (double)items[i].bytes / 1024, when);
        bytes += items[i].bytes;
    }
    if (removed) printf("removed        %zu\n", removed);
    printf("programs       %zu, %.1f MB of at most %.1f MB\n", n, (double)bytes / (1 << 20),
        (double)s->max_bytes / (1 << 20));
    printf("path           %s\n", s->folder);
}

/* Say what is there, after removing what is beyond `max_bytes` (negative: nothing). */
static int show(const cli_args *args, int64_t max_bytes, ane_error *e) {
    ane_store s;
    ane_store_item *items = NULL;
    size_t n = 0, removed = 0;
    bool ok = ane_program_store(&s, e) && (max_bytes < 0 || ane_store_prune(&s, max_bytes, &removed, e)) &&
              ane_store_list(&s, &items, &n, e);
    if (ok && cli_flag(args, "json"))
        cli_put_json(to_json(&s, items, n, removed));
    else if (ok)
        print(&s, items, n, removed);
    free(items);
    free(s.folder);
    return ok ? CLI_OK : CLI_FAILED;
}

static int run_list(const cli_args *args, ane_error *e) {
    return show(args, cli_given(args, "max-size") ? cli_int(args, "max-size") : -1, e);
}

static int run_clear(const cli_args *args, ane_error *e) {
    return show(args, 0, e);
}

static const cli_option list_options[] = {
    {.name = "max-size",
        .kind = CLI_SIZE,
        .value = "SIZE",
        CLI_BETWEEN(0, 1e15),
        .help = "remove the least recently used until the rest is no larger (K, M, G: powers of 1024)"},
    {.name = "json", .kind = CLI_FLAG, .help = "print one JSON object"},
    {0},
};

const cli_command cli_cache = {
    .name = "cache",
    .summary = "the compiled programs that are kept for later processes",
    .synopsis = (const char *const[]){"[--max-size SIZE] [--json]", NULL},
    .description =
        "Lists the programs that Apple's framework compiled and that are kept, so that later processes need "
        "not compile them again: the most recently used first, their size, and where they are. They are told "
        "apart by text, weights, chip, OS build and version of the framework; one that is damaged is "
        "compiled anew.\n\n"
        "Environment variable ANEMONE_CACHE names the folder, ANEMONE_CACHE_SIZE how large all may be "
        "together "
        "(default 1G; 0 keeps none). The device's option cache=off does without, cache=all keeps programs "
        "with weights baked in, too.",
    .options = list_options,
    .examples = (const char *const[]){"anemone cache", "what is kept, and where",
        "anemone cache --max-size 200M", "make it smaller now", NULL},
    .run = run_list,
};

static const cli_option clear_options[] = {
    {.name = "json", .kind = CLI_FLAG, .help = "print one JSON object"},
    {0},
};

const cli_command cli_cache_clear = {
    .name = "cache clear",
    .summary = "remove all compiled programs that are kept",
    .synopsis = (const char *const[]){"[--json]", NULL},
    .description = "Removes all of them. What the self-test found out stays (`anemone doctor` asks anew).",
    .options = clear_options,
    .examples = (const char *const[]){"anemone cache clear", "free the room", NULL},
    .run = run_clear,
};
