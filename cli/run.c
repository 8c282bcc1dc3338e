/* run.c - `anemone run`: any MIL program on NumPy files. */
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/program.h"
#include "cli/tensor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef enum role { INPUT, WEIGHT, OUTPUT } role;

/* A name of the program: what it is, and the file that it comes from or goes to. */
typedef struct port {
    const char *name;
    mil_type type;
    role role;
    const char *path;
    ane_buffer *buffer; /* of an input or output */
    float *weight;      /* of a weight */
} port;

/* How a kernel names them, by role. */
typedef const char *name_fn(const ane_kernel *k, int index, mil_type *type);
static name_fn *const name_of[] = {ane_kernel_input, ane_kernel_weight, ane_kernel_output};

typedef struct session {
    mil_program *program;
    ane_device *device;
    ane_kernel *kernel;
    ane_binding *binding;
    int n_ports;
    port *ports;
} session;

static void free_session(session *s) {
    ane_binding_free(s->binding);
    for (int i = 0; i < s->n_ports; i++) {
        ane_buffer_free(s->ports[i].buffer);
        free(s->ports[i].weight);
    }
    free(s->ports);
    ane_kernel_free(s->kernel);
    ane_device_close(s->device);
    mil_program_free(s->program);
}

static bool list_ports(session *s, ane_error *e) {
    const ane_kernel *k = s->kernel;
    int counts[] = {ane_kernel_inputs(k), ane_kernel_weights(k), ane_kernel_outputs(k)};
    s->ports = calloc((size_t)counts[0] + (size_t)counts[1] + (size_t)counts[2] + 1, sizeof *s->ports);
    if (!s->ports) return ane_fail(e, ANE_ERROR_MEMORY, NULL, "out of memory");
    for (int kind = INPUT; kind <= OUTPUT; kind++)
        for (int i = 0; i < counts[kind]; i++) {
            port *p = &s->ports[s->n_ports++];
            p->role = (role)kind;
            p->name = name_of[kind](k, i, &p->type);
        }
    return true;
}

/* "x, tensor<fp32, [1, 4]>; ..." of what --input or --output may name */
static const char *known_ports(const session *s, bool outputs, char *text, size_t size) {
    char type[160];
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < s->n_ports && used < size; i++)
        if ((s->ports[i].role == OUTPUT) == outputs)
            used += (size_t)snprintf(text + used, size - used, "%s%s (%s)", used ? ", " : "",
                s->ports[i].name, mil_type_print(&s->ports[i].type, type, sizeof type));
    return text;
}

/* Give ports the files of --input or --output NAME=FILE. */
static bool assign_files(session *s, const cli_value *list, bool outputs, ane_error *e) {
    const char *option = outputs ? "--output" : "--input";
    char known[400];
    for (int i = 0; i < list->n; i++) {
        const char *text = list->texts[i], *equals = strchr(text, '=');
        size_t n = equals ? (size_t)(equals - text) : 0;
        if (!n || !equals[1])
            return ane_fail(e, ANE_ERROR_ARGUMENT, option, "expected NAME=FILE.npy, found \"%s\"", text);
        bool found = false;
        for (int k = 0; k < s->n_ports; k++) {
            port *p = &s->ports[k];
            if ((p->role == OUTPUT) != outputs || strlen(p->name) != n || memcmp(p->name, text, n) != 0)
                continue;
            p->path = equals + 1;
            found = true;
        }
        if (!found)
            return ane_fail(e, ANE_ERROR_ARGUMENT, option, "there is no %s \"%.*s\"; the program has %s",
                option + 2, (int)n, text, known_ports(s, outputs, known, sizeof known));
    }
    return true;
}

static bool bind_weight(session *s, port *p, ane_error *e) {
    int64_t count = mil_type_count(&p->type);
    mil_type type = p->type;
    type.dtype = MIL_FP32; /* masters are fp32, whatever the program declares */
    p->weight = calloc((size_t)count + 1, sizeof *p->weight);
    if (!p->weight) return ane_fail(e, ANE_ERROR_MEMORY, p->name, "out of memory");
    return cli_read_tensor(p->path, &type, p->weight, e) &&
           ane_bind_weight(s->binding, p->name, p->weight, count, e);
}

static bool bind_port(session *s, port *p, ane_error *e) {
    char type[160];
    if (p->role != OUTPUT && !p->path) {
        ane_fail(e, ANE_ERROR_ARGUMENT, p->name, "input %s is not given; it is %s", p->name,
            mil_type_print(&p->type, type, sizeof type));
        return ane_hint(e, "give a NumPy file: --input %s=FILE.npy", p->name);
    }
    if (p->role == WEIGHT) return bind_weight(s, p, e);
    p->buffer = ane_buffer_new(s->device, p->type, e);
    if (!p->buffer) return false;
    if (p->role == INPUT) {
        void *data = ane_buffer_map(p->buffer, ANE_WRITE, e);
        if (!data || !cli_read_tensor(p->path, &p->type, data, e) || !ane_buffer_unmap(p->buffer, e))
            return false;
    }
    return ane_bind(s->binding, p->name, p->buffer, 0, e);
}

static bool open_session(const cli_args *args, session *s, ane_error *e) {
    s->program = cli_read_program(args, true, e);
    if (!s->program || !cli_find_function(args, s->program, e)) return false;
    s->device = cli_open_device(args, e);
    if (!s->device) return false;
    s->kernel = ane_device_compile(s->device, s->program, cli_string(args, "function"), e);
    if (!s->kernel || !list_ports(s, e)) return false;
    s->binding = ane_binding_new(s->kernel, e);
    if (!s->binding) return false;
    if (!assign_files(s, cli_list(args, "input"), false, e) ||
        !assign_files(s, cli_list(args, "output"), true, e))
        return false;
    for (int i = 0; i < s->n_ports; i++)
        if (!bind_port(s, &s->ports[i], e)) return false;
    return true;
}

/* Run `repeat` times; ms[repeat]. */
static bool run_often(session *s, int64_t repeat, double *ms, ane_error *e) {
    for (int64_t i = 0; i < repeat; i++) {
        ane_run_stats stats;
        if (!ane_run(s->binding, &stats, e)) return false;
        ms[i] = stats.host_ms;
    }
    return true;
}

static bool put_outputs(session *s, bool json, ane_error *e) {
    for (int i = 0; i < s->n_ports; i++) {
        port *p = &s->ports[i];
        if (p->role != OUTPUT) continue;
        const void *data = ane_buffer_map(p->buffer, ANE_READ, e);
        if (!data) return false;
        if (!json) cli_print_tensor(p->name, &p->type, data);
        if (p->path && !cli_write_tensor(p->path, &p->type, data, e)) return false;
        if (!ane_buffer_unmap(p->buffer, e)) return false;
    }
    return true;
}

static void put_speed(const session *s, bool json, double *ms, int64_t repeat) {
    json_t *spread = cli_json_spread(ms, (int)repeat);
    double median = json_real_value(json_object_get(spread, "median")), flops = ane_kernel_flops(s->kernel);
    const ane_capabilities *c = ane_device_capabilities(s->device);
    if (json)
        cli_put_json(json_pack("{s:s, s:s, s:i, s:I, s:O, s:f, s:f}", "device", c->device, "precision",
            ane_precision_name(c->precision), "threads", c->threads, "repeat", (json_int_t)repeat, "run_ms",
            spread, "flops", flops, "gflops_per_second", median > 0 ? flops / median / 1e6 : 0.0));
    else if (repeat > 1)
        printf("%lld runs: median %.4f ms, least %.4f, most %.4f; %.1f GFLOP/s\n", (long long)repeat, median,
            ms[0], ms[repeat - 1], median > 0 ? flops / median / 1e6 : 0.0);
    json_decref(spread);
}

static bool show_plan(const session *s) {
    char *text = ane_kernel_describe(s->kernel);
    if (text) fputs(text, stdout);
    free(text);
    return text != NULL;
}

static int run(const cli_args *args, ane_error *e) {
    session s = {0};
    int64_t repeat = cli_int(args, "repeat");
    bool json = cli_flag(args, "json");
    double *ms = calloc((size_t)repeat, sizeof *ms);
    bool ok = ms ? open_session(args, &s, e) : ane_fail(e, ANE_ERROR_MEMORY, NULL, "out of memory");
    if (ok && cli_flag(args, "plan")) ok = show_plan(&s);
    ok = ok && run_often(&s, repeat, ms, e) && put_outputs(&s, json, e);
    if (ok) put_speed(&s, json, ms, repeat);
    free_session(&s);
    free(ms);
    return ok ? CLI_OK : CLI_FAILED;
}

static const cli_option options[] = {
    {.name = "input",
        .letter = 'i',
        .kind = CLI_REPEAT,
        .value = "NAME=FILE.npy",
        .help = "an input's (or a parameter's) values; once for each"},
    {.name = "output",
        .letter = 'o',
        .kind = CLI_REPEAT,
        .value = "NAME=FILE.npy",
        .help = "where an output goes; all are summed up on standard output"},
    {.name = "weights",
        .letter = 'w',
        .kind = CLI_PATH,
        .value = "DIR",
        .help = "the folder that @model_path stands for (default: the program's own)"},
    CLI_FUNCTION_OPTION,
    {.name = "repeat",
        .letter = 'r',
        .kind = CLI_INT,
        .value = "N",
        .fallback = "1",
        CLI_BETWEEN(1, 10000000),
        .help = "run N times and tell how long it took"},
    {.name = "plan", .kind = CLI_FLAG, .help = "print what the device makes of the program"},
    {.name = "json", .kind = CLI_FLAG, .help = "print one JSON object about the speed"},
    CLI_DEVICE_OPTIONS,
    {0},
};

const cli_command cli_run = {
    .name = "run",
    .summary = "run a MIL program on NumPy files",
    .synopsis = (const char *const[]){"FILE.mil --input x=a.npy... --output y=b.npy... [options]", NULL},
    .min_words = 1,
    .max_words = 1,
    .description = "Compiles the program for a device, reads its inputs from .npy files, runs it, and writes "
                   "its outputs. Numbers "
                   "are converted to the types that the program declares; shapes must be equal.",
    .options = options,
    .examples = (const char *const[]){"anemone run model.mil --input x=x.npy --output y=y.npy", "once",
        "anemone run model.mil -i x=x.npy --repeat 100 --precision fp16 --plan",
        "how it runs, and how fast, in the Neural Engine's numbers", NULL},
    .run = run,
};
