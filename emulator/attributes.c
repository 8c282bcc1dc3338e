/* modelAttributes: what a compiled program says of itself, in the keys that were recorded. */
#include "emulator/classes.h"
#include "emulator/state.h"

/* One entry of LiveInputList or LiveOutputList. A tensor [.., C, H, W] is seen as planes of rows. */
static id live_entry(const em_port *port) {
    const mil_type *t = &port->type;
    int64_t width = t->rank > 0 ? t->dim[t->rank - 1] : 1, height = t->rank > 1 ? t->dim[t->rank - 2] : 1;
    int64_t channels = port->rows / height;
    id entry = em_mutable_dictionary();
    em_put(entry, "Name", em_string(port->name));
    em_put(entry, "Symbol", em_string(port->name));
    em_put(entry, "Batches", em_number(1));
    em_put(entry, "Channels", em_number(channels));
    em_put(entry, "Height", em_number(height));
    em_put(entry, "Width", em_number(width));
    em_put(entry, "RowStride", em_number(port->row_stride));
    em_put(entry, "PlaneStride", em_number(port->row_stride * height));
    em_put(entry, "Type", em_string(t->dtype == MIL_FP16 ? "Float16" : "Float32"));
    return entry;
}

static id list(int n, const em_port *ports, id (*entry)(const em_port *port)) {
    id items[512];
    unsigned count = 0;
    for (int i = 0; i < n && count < sizeof items / sizeof *items; i++) items[count++] = entry(&ports[i]);
    return em_array(count, items);
}

static id symbol(const em_port *port) {
    return em_string(port->name);
}

static id indices(int n) {
    id items[512];
    unsigned count = 0;
    for (int i = 0; i < n && count < sizeof items / sizeof *items; i++) items[count++] = em_number(i);
    return em_array(count, items);
}

static id description(const em_program *p) {
    id procedure = em_mutable_dictionary(), names = em_mutable_dictionary(), model = em_mutable_dictionary();
    em_put(procedure, "ANEFModelProcedureID", em_number(0));
    em_put(procedure, "ProcedureID", em_number(0));
    em_put(procedure, "InputSymbolIndexArray", indices(p->n_inputs));
    em_put(procedure, "OutputSymbolIndexArray", indices(p->n_outputs));
    em_put(names, "main", em_number(0));
    em_put(model, "kANEFModelInputSymbolsArrayKey", list(p->n_inputs, p->inputs, symbol));
    em_put(model, "kANEFModelOutputSymbolsArrayKey", list(p->n_outputs, p->outputs, symbol));
    em_put(model, "ANEFModelProcedures", em_array(1, &procedure));
    em_put(model, "ProcedureNameToIDMap", names);
    return model;
}

id em_attributes(const em_program *p) {
    id attributes = em_mutable_dictionary();
    if (em_quirk_value(EM_QUIRK_ATTRIBUTES) == EM_REFUSED) return attributes;
    id status = em_mutable_dictionary();
    em_put(status, "Name", em_string("main"));
    em_put(status, "LiveInputList", list(p->n_inputs, p->inputs, live_entry));
    em_put(status, "LiveOutputList", list(p->n_outputs, p->outputs, live_entry));
    em_put(attributes, "NetworkStatusList", em_array(1, &status));
    em_put(attributes, "ANEFModelDescription", description(p));
    return attributes;
}
