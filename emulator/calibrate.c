/* The time model beside the record: every published measurement, and the error of each. */
#include "emulator/state.h"
#include "emulator/timemodel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows that the model misses by more are named: no single model meets them. */
static const double FAR_OFF = 0.5;

/* depth convolutions [channels, channels, 1, 1] in a chain, on [1, channels, 1, positions]. */
static bool chain_cost(em_cost *cost, const json_t *row) {
    double channels = json_number_value(json_object_get(row, "channels"));
    double positions = json_number_value(json_object_get(row, "positions"));
    double element = json_number_value(json_object_get(row, "io_element_bytes"));
    int depth = (int)json_integer_value(json_object_get(row, "depth")),
        bits = (int)json_integer_value(json_object_get(row, "bits"));
    *cost = (em_cost){.n_ops = depth, .ops = calloc((size_t)depth + 1, sizeof *cost->ops)};
    if (!cost->ops) return false;
    for (int i = 0; i < depth; i++)
        cost->ops[i] = (em_cost_op){
            .flops = 2 * channels * channels * positions,
            .weight_bytes = channels * channels * bits / 8,
            .int8 = bits == 8,
            .conflict = fmod(channels, EM_CONFLICT_CHANNELS) == 0,
        };
    cost->surface_bytes = 2 * channels * positions * element;
    cost->largest_value_bytes = channels * positions * 2;
    return true;
}

static em_cost_op design_op(const json_t *op) {
    if (strcmp(json_string_value(json_object_get(op, "kind")), "matmul") == 0)
        return (em_cost_op){.flops = json_number_value(json_object_get(op, "flops")), .matmul = true};
    double outputs = json_number_value(json_object_get(op, "outputs")),
           inputs = json_number_value(json_object_get(op, "inputs"));
    return (em_cost_op){.flops = 2 * outputs * inputs * json_number_value(json_object_get(op, "positions")),
        .weight_bytes = 2 * outputs * inputs};
}

/* One kernel of a recorded design. */
static double kernel_ms(const em_rates *rates, const json_t *kernel) {
    const json_t *ops = json_object_get(kernel, "ops"), *op;
    em_cost_op list[16];
    em_cost cost = {
        .ops = list, .surface_bytes = json_number_value(json_object_get(kernel, "surface_bytes"))};
    size_t i;
    json_array_foreach(ops, i, op) {
        int times = (int)json_integer_value(json_object_get(op, "times"));
        for (int t = 0; t < times && cost.n_ops < (int)(sizeof list / sizeof *list); t++)
            list[cost.n_ops++] = design_op(op);
    }
    return em_model_ms(rates, &cost);
}

static double design_ms(const em_rates *rates, const json_t *design) {
    const json_t *kernels = json_object_get(design, "evaluations"), *kernel;
    double ms = 0;
    size_t i;
    json_array_foreach(kernels, i, kernel) {
        ms += json_number_value(json_object_get(kernel, "times")) * kernel_ms(rates, kernel);
    }
    return ms;
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t n) {
    qsort(values, n, sizeof *values, by_value);
    return n == 0 ? 0 : n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* Copies of the rows with "modelled_ms", "error" (relative, signed) and "far_off"; *overall gets the median of
 * |error|. model() returns a negative time for what it cannot model. */
static json_t *compare(
    const json_t *rows, double (*model)(const em_rates *rates, const json_t *row), double *overall) {
    size_t n = json_array_size(rows), used = 0, i;
    double *errors = calloc(n + 1, sizeof *errors);
    json_t *list = json_array(), *row;
    json_array_foreach(rows, i, row) {
        const em_chip *chip =
            em_chips_find(em_state_chips(), json_string_value(json_object_get(row, "chip")));
        double recorded = json_number_value(json_object_get(row, "ms")),
               ms = chip ? model(&chip->rates, row) : -1;
        if (ms < 0 || recorded <= 0 || !errors) continue;
        double error = ms / recorded - 1;
        json_t *copy = json_copy(row);
        json_object_set_new(copy, "modelled_ms", json_real(ms));
        json_object_set_new(copy, "error", json_real(error));
        json_object_set_new(copy, "far_off", json_boolean(fabs(error) > FAR_OFF));
        json_array_append_new(list, copy);
        errors[used++] = fabs(error);
    }
    *overall = errors ? median(errors, used) : 0;
    free(errors);
    return list;
}

static double single_ms(const em_rates *rates, const json_t *row) {
    em_cost cost;
    if (!chain_cost(&cost, row)) return -1;
    double ms = em_model_ms(rates, &cost);
    em_cost_free(&cost);
    return ms;
}

static double step_ms(const em_rates *rates, const json_t *row) {
    const json_t *designs = json_object_get(em_state_chips()->recorded, "designs");
    const json_t *design = json_object_get(designs, json_string_value(json_object_get(row, "design")));
    return design ? design_ms(rates, design) : -1;
}

/* A number, or the middle of a range [low, high]. */
static json_t *middle(const json_t *x) {
    double low = json_number_value(json_array_get(x, 0)), high = json_number_value(json_array_get(x, 1));
    return json_real(json_is_array(x) ? (low + high) / 2 : json_number_value(x));
}

/* The recorded rows that have the member `mark`, each as one flat object: chip, table, source, ms (the member `time`),
 * and what stands in config, fit and design. */
static json_t *rows_with(const json_t *recorded, const char *mark, const char *time) {
    const json_t *machines = json_object_get(recorded, "machines");
    json_t *list = json_array(), *row;
    size_t i;
    json_array_foreach(json_object_get(recorded, "rows"), i, row) {
        if (!json_object_get(row, mark)) continue;
        const json_t *machine = json_object_get(machines, json_string_value(json_object_get(row, "machine")));
        const json_t *source = json_object_get(row, "source");
        json_t *flat = json_object();
        json_object_set(flat, "chip", json_object_get(machine, "chip"));
        json_object_set(flat, "table", json_object_get(row, "program"));
        json_object_set(flat, "source", source ? (json_t *)source : json_object_get(machine, "source"));
        json_object_update(flat, json_object_get(row, "config"));
        json_object_update(flat, json_object_get(row, "fit"));
        if (json_object_get(row, "design")) json_object_set(flat, "design", json_object_get(row, "design"));
        json_object_set_new(flat, "ms", middle(json_object_get(row, time)));
        json_array_append_new(list, flat);
    }
    return list;
}

char *anemone_emulator_calibrate(void) {
    const json_t *recorded = em_state_chips()->recorded;
    double single_error, step_error;
    json_t *fitted = rows_with(recorded, "fit", "ms"), *checked = rows_with(recorded, "design", "device_ms");
    json_t *single = compare(fitted, single_ms, &single_error);
    json_t *steps = compare(checked, step_ms, &step_error);
    json_decref(fitted);
    json_decref(checked);
    json_t *all = json_pack("{s:o, s:f, s:o, s:f, s:s}", "single", single, "single_median_error",
        single_error, "steps", steps, "steps_median_error", step_error, "note",
        "times are modelled; fitted to the rows of single programs, checked on steps");
    char *text = all ? json_dumps(all, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(all);
    return text;
}
