/* probe_print.c - see probe_print.h. */
#include "cli/probe_print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text(const json_t *object, const char *key) {
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

const char *cli_probe_verdict(const json_t *probe) {
    const char *status = text(probe, "status");
    const json_t *equal = json_object_get(probe, "equal");
    if (strcmp(status, "ok") != 0) return status;
    return json_is_true(equal) ? "equal" : json_is_false(equal) ? "differs" : "answered";
}

/* ---- details -------------------------------------------------------------------------------------------------------- */

static void put_scalar(const json_t *x) {
    if (json_is_string(x))
        fputs(json_string_value(x), stdout);
    else if (json_is_number(x))
        printf("%.6g", json_number_value(x));
    else
        fputs(json_is_true(x) ? "yes" : json_is_false(x) ? "no" : "nil", stdout);
}

static bool is_scalar(const json_t *x) {
    return !json_is_object(x) && !json_is_array(x);
}

static bool has_scalars_only(json_t *x) {
    size_t i;
    json_t *item;
    const char *key;
    json_array_foreach(x, i, item) {
        if (!is_scalar(item)) return false;
    }
    json_object_foreach(x, key, item) {
        if (!is_scalar(item)) return false;
    }
    return true;
}

/* "name: a, b, c", or "name: key a, key b" */
static void put_line(const char *name, json_t *x) {
    size_t i;
    json_t *item;
    const char *key, *between = "";
    printf("    %s: ", name);
    if (is_scalar(x)) put_scalar(x);
    json_array_foreach(x, i, item) {
        fputs(between, stdout);
        put_scalar(item);
        between = ", ";
    }
    json_object_foreach(x, key, item) {
        printf("%s%s ", between, key);
        put_scalar(item);
        between = ", ";
    }
    if (!is_scalar(x) && json_array_size(x) + json_object_size(x) == 0) fputs("none", stdout);
    puts("");
}

static void put_members(
    const json_t *class, const char *list, const char *sign, const char *key, const char *types) {
    size_t i;
    const json_t *member;
    json_array_foreach(json_object_get(class, list), i, member) {
        printf("        %s%s  %s\n", sign, text(member, key), text(member, types));
    }
}

static void put_classes(const json_t *classes) {
    size_t i;
    const json_t *class;
    json_array_foreach(classes, i, class) {
        printf("    %s : %s\n", text(class, "name"), text(class, "superclass"));
        put_members(class, "class_methods", "+", "selector", "types");
        put_members(class, "methods", "-", "selector", "types");
        put_members(class, "properties", "@property ", "name", "attributes");
        put_members(class, "ivars", "", "name", "type");
    }
}

static void put_deep(const char *name, const json_t *x) {
    char *dump = json_dumps(x, JSON_INDENT(2));
    printf("    %s: %s\n", name, dump ? dump : "");
    free(dump);
}

static void put_details(const json_t *details) {
    const char *key;
    size_t i;
    json_t *x, *item;
    json_object_foreach((json_t *)details, key, x) {
        if (strcmp(key, "classes") == 0) {
            put_classes(x);
        } else if (has_scalars_only(x)) {
            put_line(key, x);
        } else if (json_is_array(x)) {
            printf("    %s:\n", key);
            json_array_foreach(x, i, item) {
                put_line("   ", item);
            }
        } else {
            put_deep(key, x);
        }
    }
}

/* ---- answers --------------------------------------------------------------------------------------------------------- */

void cli_print_probe(const json_t *probe, bool details) {
    const char *verdict = cli_probe_verdict(probe);
    bool ok = strcmp(text(probe, "status"), "ok") == 0;
    printf("%s: %s\n", text(probe, "probe"), text(probe, "question"));
    if (!ok) {
        printf("  %s: %s\n\n", verdict, text(probe, "error"));
        return;
    }
    printf("  did       %s\n  answer    %s\n", text(probe, "did"), text(probe, "answer"));
    if (*text(probe, "recorded"))
        printf(
            "  recorded  %s: %s\n            %s\n", verdict, text(probe, "recorded"), text(probe, "source"));
    else
        puts("  recorded  nothing of such a device");
    if (details) put_details(json_object_get(probe, "details"));
    puts("");
}

void cli_print_probes(const json_t *probes) {
    size_t i;
    const json_t *probe;
    int count[5] = {0};
    static const char *const verdicts[5] = {"equal", "differs", "answered", "failed", "skipped"};
    printf("%-17s  %-8s  %s\n", "probe", "status", "answer");
    json_array_foreach(probes, i, probe) {
        const char *verdict = cli_probe_verdict(probe);
        bool ok = strcmp(text(probe, "status"), "ok") == 0;
        printf("%-17s  %-8s  %s\n", text(probe, "probe"), verdict,
            ok ? text(probe, "answer") : text(probe, "error"));
        if (strcmp(verdict, "differs") == 0)
            printf("%-17s  %-8s  %s\n", "", "recorded", text(probe, "recorded"));
        for (int k = 0; k < 5; k++) count[k] += strcmp(verdict, verdicts[k]) == 0;
    }
    printf("\n");
    for (int k = 0; k < 5; k++)
        if (count[k])
            printf("%s%d %s", k && count[0] + (k > 1) * count[1] ? ", " : "", count[k], verdicts[k]);
    printf("\n");
}
