/* The fields of a head in one pass: what `Reference` of scanner.py does, which tells what is asked.

   No object is made for a line but for what it says to us. Loops rely on the zero byte that CPython
   keeps behind the content of every bytes object: it may stand in no name and in no value, so each
   of them ends there at the latest. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

typedef unsigned char byte;
static byte folded[256]; /* a byte of a name in lower case, marks as hyphens; 0 for no such byte */
static byte legal[256];  /* whether it may stand in a value (RFC 9110, 5.5) */

typedef struct {
    const byte *name; /* in `table` */
    Py_ssize_t length, kind; /* kind is what it says, 0 for nothing */
    int passes;
} Rule;

typedef struct {
    PyObject_VAR_HEAD
    PyObject *table, *refuse;
    Py_ssize_t kinds, common;
    unsigned long long lengths[256]; /* by the first byte of names: bit n for those of n bytes */
    Rule rules[];
} Native;

#define BIT(length) (1ULL << ((length) < 63 ? (length) : 63))

/* The rule for a name, and whether that is its own spelling, or one with other marks. */
static const Rule *find(const Native *self, const byte *name, Py_ssize_t length, int *own)
{
    if (!(self->lengths[folded[*name]] & BIT(length)))
        return NULL; /* nearly all names end here */
    for (const Rule *rule = self->rules; rule < self->rules + Py_SIZE(self); rule++) {
        Py_ssize_t i = 0;
        if (rule->length != length)
            continue;
        for (*own = 1; i < length && folded[name[i]] == rule->name[i]; i++)
            *own &= rule->name[i] != '-' || name[i] == '-';
        if (i == length)
            return rule;
    }
    return NULL;
}

static byte *copy(byte *to, const void *from, Py_ssize_t size)
{
    return (byte *)memcpy(to, from, size) + size;
}

/* Values of one field are one list (RFC 9110, 5.3). Returns -1 with an exception. */
static int say(const Native *self, PyObject *said, Py_ssize_t kind, const byte *value,
               Py_ssize_t size)
{
    PyObject *before = PyList_GET_ITEM(said, kind);
    Py_ssize_t had = before == Py_None ? 0 : PyBytes_GET_SIZE(before) + 2;
    PyObject *now = PyBytes_FromStringAndSize(NULL, had + size);
    if (now == NULL)
        return -1;
    byte *to = (byte *)PyBytes_AS_STRING(now);
    if (had)
        to = copy(copy(to, PyBytes_AS_STRING(before), had - 2), ", ", 2);
    copy(to, value, size);
    if (kind > self->common)
        PyList_SetItem(said, 0, Py_NewRef(now)); /* whatever it is, it is not None */
    return PyList_SetItem(said, kind, now);
}

/* Writes the lines that pass to `out`, and what is said into `said`. Returns the end of what was
   written; NULL with an exception, or without one where it is not the grammar. */
static byte *scan(const Native *self, const byte *at, const byte *end, Py_ssize_t most,
                  byte *out, PyObject *said)
{
    const byte *run = at; /* from here on lines pass as they are, and are not yet written */
    for (; *at != '\r'; most--) {
        const byte *name = at;
        while (folded[*at])
            at++;
        const byte *colon = at;
        if (colon == name || *at++ != ':' || most <= 0)
            return NULL;
        while (*at == ' ' || *at == '\t')
            at++;
        const byte *value = at;
        while (legal[*at])
            at++;
        const byte *last = at; /* behind the value */
        if (at[0] != '\r' || at[1] != '\n')
            return NULL;
        at += 2;
        while (last > value && (last[-1] == ' ' || last[-1] == '\t'))
            last--;
        int own = 1, passes = 1;
        const Rule *rule = find(self, name, colon - name, &own);
        if (rule != NULL) {
            passes = own && rule->passes;
            if (own && rule->kind && say(self, said, rule->kind, value, last - value) < 0)
                return NULL;
        }
        if (passes && value == colon + 2 && colon[1] == ' ' && last + 2 == at)
            continue;
        if (run < name)
            out = copy(copy(out, "\r\n", 2), run, name - 2 - run);
        if (passes) {
            out = copy(copy(out, "\r\n", 2), name, colon - name);
            out = copy(copy(out, ": ", 2), value, last - value);
        }
        run = at;
    }
    if (at[1] != '\n' || at + 2 != end)
        return NULL;
    return run < at ? copy(copy(out, "\r\n", 2), run, at - 2 - run) : out;
}

static PyObject *Native_read(Native *self, PyObject *const *given, Py_ssize_t count)
{
    if (count != 2 || !PyBytes_Check(given[0]) || !PyLong_Check(given[1]))
        return PyErr_Format(PyExc_TypeError, "read(block: bytes, most: int)");
    const byte *block = (const byte *)PyBytes_AS_STRING(given[0]);
    Py_ssize_t size = PyBytes_GET_SIZE(given[0]), most = PyLong_AsSsize_t(given[1]);
    if (most == -1 && PyErr_Occurred())
        return NULL;
    /* A line has four bytes or more, and grows by one where nothing is behind its colon. */
    PyObject *lines = PyBytes_FromStringAndSize(NULL, size + size / 4), *both = NULL;
    PyObject *said = PyList_New(self->kinds);
    if (lines != NULL && said != NULL) {
        for (Py_ssize_t i = 0; i < self->kinds; i++)
            PyList_SET_ITEM(said, i, Py_NewRef(Py_None));
        byte *out = (byte *)PyBytes_AS_STRING(lines);
        byte *written = scan(self, block, block + size, most, out, said);
        if (written != NULL && _PyBytes_Resize(&lines, written - out) == 0)
            both = PyTuple_Pack(2, lines, said);
    }
    Py_XDECREF(lines);
    Py_XDECREF(said);
    if (both == NULL && !PyErr_Occurred())
        return PyObject_Vectorcall(self->refuse, given, 2, NULL);
    return both;
}

static PyObject *Native_new(PyTypeObject *type, PyObject *given, PyObject *names)
{
    PyObject *table, *refuse, *name;
    Py_ssize_t kinds, common;
    if (!PyArg_ParseTuple(given, "O!nnO", &PyTuple_Type, &table, &kinds, &common, &refuse))
        return NULL;
    Native *self = (Native *)type->tp_alloc(type, PyTuple_GET_SIZE(table));
    if (self == NULL)
        return NULL;
    self->table = Py_NewRef(table);
    self->refuse = Py_NewRef(refuse);
    self->kinds = kinds;
    self->common = common;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(table) && !PyErr_Occurred(); i++) {
        Rule *rule = self->rules + i;
        PyObject *row = PyTuple_GET_ITEM(table, i);
        if (!PyArg_ParseTuple(row, "Snp", &name, &rule->kind, &rule->passes))
            break;
        if (rule->kind < 0 || rule->kind >= kinds)
            PyErr_SetString(PyExc_ValueError, "a rule says what cannot be said");
        rule->name = (const byte *)PyBytes_AS_STRING(name);
        rule->length = PyBytes_GET_SIZE(name);
        self->lengths[*rule->name] |= BIT(rule->length);
    }
    if (PyErr_Occurred())
        Py_CLEAR(self);
    return (PyObject *)self;
}

static void Native_dealloc(Native *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_DECREF(self->table);
    Py_DECREF(self->refuse);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {{"read", _PyCFunction_CAST(Native_read), METH_FASTCALL, NULL}, {0}};
static PyType_Slot slots[] = {{Py_tp_new, Native_new}, {Py_tp_dealloc, Native_dealloc},
                              {Py_tp_methods, methods}, {0}};
static PyType_Spec spec = {"lb.proxy.http._scan.Native", sizeof(Native), sizeof(Rule), 0, slots};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_scan", .m_size = -1};

PyMODINIT_FUNC PyInit__scan(void)
{
    for (int c = 0; c < 256; c++) {
        int letter = (c | 32) >= 'a' && (c | 32) <= 'z', figure = c >= '0' && c <= '9';
        int mark = c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
        folded[c] = letter ? c | 32 : figure ? c : mark ? '-' : 0;
        legal[c] = c == '\t' || (c >= ' ' && c != 127);
    }
    PyObject *us = PyModule_Create(&module), *type = PyType_FromSpec(&spec);
    if (us == NULL || type == NULL || PyModule_AddObjectRef(us, "Native", type) < 0)
        Py_CLEAR(us);
    Py_XDECREF(type);
    return us;
}
