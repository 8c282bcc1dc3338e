/* names.c - the names of a function's values: unique, found in constant time. */
#include "base/arena.h"
#include "mil/function.h"

#include <stdio.h>
#include <string.h>

/* FNV-1a, 32 bits. */
static uint32_t hash(const char *s) {
    uint32_t h = 2166136261u;
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 16777619u;
    return h;
}

/* The name's slot, or the free slot where it belongs. */
static mil_name_entry *slot_of(mil_name_entry *names, int32_t capacity, const char *name) {
    uint32_t mask = (uint32_t)capacity - 1;
    for (uint32_t i = hash(name) & mask;; i = (i + 1) & mask)
        if (!names[i].name || strcmp(names[i].name, name) == 0) return &names[i];
}

static bool grow_table(mil_function *f) {
    mil_builder *b = f->builder;
    int32_t capacity = b->name_capacity ? 2 * b->name_capacity : 64;
    mil_name_entry *names = ane_arena_array(f->program->arena, (size_t)capacity, sizeof *names);
    if (!names) return false;
    for (int32_t i = 0; i < b->name_capacity; i++)
        if (b->names[i].name) *slot_of(names, capacity, b->names[i].name) = b->names[i];
    b->names = names;
    b->name_capacity = capacity;
    return true;
}

mil_name_entry *mil_name_entry_of(mil_function *f, const char *name) {
    mil_builder *b = f->builder;
    mil_name_entry *entry = b->name_capacity ? slot_of(b->names, b->name_capacity, name) : NULL;
    if (entry && entry->name) return entry; /* the table moves only when a name is new */
    const char *copy = ane_arena_strdup(f->program->arena, name);
    if (!copy || (2 * b->n_names >= b->name_capacity && !grow_table(f))) return NULL;
    entry = slot_of(b->names, b->name_capacity, name);
    *entry = (mil_name_entry){.name = copy, .value = MIL_NONE};
    b->n_names++;
    return entry;
}

mil_value mil_find(const mil_function *f, const char *name) {
    const mil_builder *b = f->builder;
    if (!b->name_capacity) return MIL_NONE;
    const mil_name_entry *entry = slot_of(b->names, b->name_capacity, name);
    return entry->name ? entry->value : MIL_NONE;
}

/* Take the name away from whatever `v` was called and give it `entry`'s. */
static void bind(mil_function *f, mil_value v, mil_name_entry *entry) {
    const mil_builder *b = f->builder;
    if (f->values[v].name) slot_of(b->names, b->name_capacity, f->values[v].name)->value = MIL_NONE;
    entry->value = v;
    f->values[v].name = entry->name;
}

bool mil_name_fresh(mil_function *f, mil_value v, const char *base, ane_error *e) {
    mil_name_entry *first = mil_name_entry_of(f, base);
    if (!first) return mil_no_memory(e, base);
    for (int32_t n = first->next; n < INT32_MAX; n++) {
        const char *name = ane_arena_printf(f->program->arena, "%s_%d", base, (int)n);
        mil_name_entry *entry = name ? mil_name_entry_of(f, name) : NULL;
        if (!entry) break;
        if (entry->value != MIL_NONE) continue;
        mil_name_entry_of(f, base)->next = n + 1; /* not through `first`: the table may have moved */
        bind(f, v, entry);
        return true;
    }
    return mil_no_memory(e, base);
}

/* Inputs, parameters and outputs are known outside by their names. */
static const char *role_of(const mil_function *f, mil_value v) {
    int32_t op = f->values[v].op;
    if (op == MIL_NONE) return "an input";
    if (f->ops[op].opcode == MIL_OP_PARAMETER) return "a parameter";
    for (int i = 0; i < f->n_outputs; i++)
        if (f->outputs[i] == v) return "an output";
    return NULL;
}

bool mil_name_exact(mil_function *f, mil_value v, const char *name, ane_error *e) {
    if (!name || !name[0]) return ane_fail(e, ANE_ERROR_ARGUMENT, f->name, "a value needs a name");
    mil_name_entry *entry = mil_name_entry_of(f, name);
    if (!entry) return mil_no_memory(e, name);
    if (entry->value != v && entry->value != MIL_NONE) {
        const char *role = role_of(f, entry->value);
        if (role) return ane_fail(e, ANE_ERROR_ARGUMENT, name, "the name is taken: %s is called so", role);
        if (!mil_name_fresh(f, entry->value, name, e)) return false;
        entry = mil_name_entry_of(f, name);
    }
    if (entry->value != v) bind(f, v, entry);
    f->values[v].used_name = true;
    return true;
}

mil_value mil_name(mil_function *f, mil_value v, const char *name) {
    if (!f || f->program->error.code || v == MIL_NONE) return MIL_NONE;
    ane_error *e = &f->program->error;
    if (v < 0 || v >= f->n_values) {
        ane_fail(e, ANE_ERROR_ARGUMENT, f->name, "value %d does not exist", (int)v);
        return MIL_NONE;
    }
    mil_value holder = name ? mil_find(f, name) : MIL_NONE;
    bool taken = holder != MIL_NONE && holder != v && (f->values[holder].used_name || role_of(f, holder));
    bool ok = taken ? mil_name_fresh(f, v, name, e) : mil_name_exact(f, v, name, e);
    if (ok) f->values[v].used_name = true;
    return ok ? v : MIL_NONE;
}
