/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From text to VmSpec in three passes, so that each mistake is told by the one who knows most of
 * it:
 *
 *   yaml_check      is it YAML at all, one document, not too deep     place: libyaml's own
 *   libcyaml        does it have the shape of vm_schema               place: corrected (explain)
 *   check_*         do the values make sense together                 place: found by path
 */
#include "controller/cli/vm_file.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/cli/vm_schema.h"
#include "controller/cli/yaml_lines.h"
#include "proto/base/fd.h"
#include "proto/base/size.h"
#include "proto/base/text.h"

/* What is parsed, for messages. */
struct source {
	const char *text;
	size_t length;
	const char *where;
};

static int wrong_at(const struct source *s, unsigned line, struct err *e, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static int wrong_at(const struct source *s, unsigned line, struct err *e, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(e, ERR_INVALID, "%s:%u: %s", s->where, line, text);
}

/* Line of the value at a path made of fmt; 1 if it is not there. */
static unsigned __attribute__((format(printf, 2, 3)))
line_of(const struct source *s, const char *fmt, ...)
{
	struct yaml_mark at = {1, 1};
	char path[YAML_PATH_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	yaml_find(s->text, s->length, path, &at);
	return at.line;
}

/* ---- shape: what libcyaml says, and where it really is ---- */

/* libcyaml's log of a failed load: the error, then a backtrace from the inside out. */
struct complaint {
	char text[ERR_TEXT_MAX];
	struct yaml_mark place[2]; /* innermost, and the level around it */
	unsigned places;
};

static void hear(cyaml_log_t level, void *context, const char *fmt, va_list args)
{
	struct complaint *c = context;
	char line[ERR_TEXT_MAX];
	struct yaml_mark at;
	const char *paren;

	(void)level;
	vsnprintf(line, sizeof(line), fmt, args);
	line[strcspn(line, "\n")] = '\0';
	paren = strncmp(line, "  in ", 5) == 0 ? strrchr(line, '(') : NULL;
	if (paren && sscanf(paren, "(line: %u, column: %u)", &at.line, &at.column) == 2) {
		if (c->places < 2)
			c->place[c->places] = at;
		c->places++;
	} else if (!c->text[0]) {
		snprintf(c->text, sizeof(c->text), "%s", line);
	}
}

/* What stands behind the last ": " of the complaint: the key it is about. */
static const char *subject(const struct complaint *c)
{
	const char *colon = strstr(c->text + strlen("Load"), ": ");
	const char *second = colon ? strstr(colon + 2, ": ") : NULL;

	return second ? second + 2 : "";
}

static int explain_key(const struct source *s, const struct complaint *c, const char *fmt,
		       struct err *e)
{
	struct yaml_mark at = c->places ? c->place[0] : (struct yaml_mark){1, 1};
	char text[ERR_TEXT_MAX];

	yaml_find_key(s->text, s->length, subject(c), &at);
	snprintf(text, sizeof(text), fmt, subject(c));
	return wrong_at(s, at.line, e, "%s", text);
}

/* The innermost place is the last value of the mapping; the mapping itself is the level around. */
static int explain_missing(const struct source *s, const struct complaint *c, struct err *e)
{
	unsigned line = c->places > 1 ? c->place[1].line : line_of(s, "%s", "");

	return wrong_at(s, line, e, "key '%s' is missing here", subject(c));
}

static int explain_value(const struct source *s, const struct complaint *c, cyaml_err_t code,
			 struct err *e)
{
	struct yaml_mark at = c->places ? c->place[0] : (struct yaml_mark){1, 1};
	char path[YAML_PATH_MAX];
	const char *wants = NULL;

	if (!c->places)
		return wrong_at(s, line_of(s, "%s", ""), e, "a VM file is a list of 'key: value'");
	if (yaml_path_at(s->text, s->length, at, path))
		wants = vm_schema_wants(path);
	if (wants)
		return wrong_at(s, at.line, e, "'%s' must be %s", path, wants);
	return wrong_at(s, at.line, e, "%s", cyaml_strerror(code));
}

static int explain(const struct source *s, const struct complaint *c, cyaml_err_t code,
		   struct err *e)
{
	switch (code) {
	case CYAML_ERR_OOM:
		return err_set(e, ERR_NOMEM, "no memory to read %s", s->where);
	case CYAML_ERR_INVALID_KEY:
		return explain_key(s, c, "unknown key '%s'", e);
	case CYAML_ERR_MAPPING_FIELD_MISSING:
		return explain_missing(s, c, e);
	default:
		if (strstr(c->text, "already seen"))
			return explain_key(s, c, "key '%s' is given twice", e);
		return explain_value(s, c, code, e);
	}
}

static cyaml_config_t cyaml_config(struct complaint *c)
{
	return (cyaml_config_t){.log_fn = hear,
				.log_ctx = c,
				.log_level = CYAML_LOG_WARNING,
				.mem_fn = cyaml_mem,
				.flags = CYAML_CFG_NO_ALIAS};
}

static int load_shape(const struct source *s, struct vm_file **out, struct err *e)
{
	struct complaint complaint = {0};
	cyaml_config_t config = cyaml_config(&complaint);
	cyaml_err_t code = cyaml_load_data((const uint8_t *)s->text, s->length, &config, &vm_schema,
					   (cyaml_data_t **)out, NULL);

	if (code != CYAML_OK)
		return explain(s, &complaint, code, e);
	return *out ? ERR_OK : wrong_at(s, 1, e, "the file is empty");
}

static void free_shape(struct vm_file *vm)
{
	struct complaint complaint = {0};
	cyaml_config_t config = cyaml_config(&complaint);

	if (vm)
		cyaml_free(&config, &vm_schema, vm, 0);
}

/* ---- sense ---- */

static int check_memory(const struct source *s, const struct vm_file *vm, uint64_t *bytes,
			struct err *e)
{
	struct err why;
	int rc = size_parse(vm->memory, bytes, &why);

	if (rc)
		return wrong_at(s, line_of(s, "memory"), e, "'memory': %s", why.text);
	if (*bytes < VM_FILE_MEMORY_UNIT || *bytes > VM_FILE_MEMORY_MAX)
		return wrong_at(s, line_of(s, "memory"), e, "'memory' must be %s",
				vm_schema_wants("memory"));
	*bytes = (*bytes + VM_FILE_MEMORY_UNIT - 1) / VM_FILE_MEMORY_UNIT * VM_FILE_MEMORY_UNIT;
	return ERR_OK;
}

static int check_files(const struct source *s, const struct vm_file *vm, struct err *e)
{
	for (unsigned i = 0; i < vm->files_count; i++)
		for (unsigned k = 0; k < i; k++)
			if (strcmp(vm->files[i].name, vm->files[k].name) == 0)
				return wrong_at(s, line_of(s, "files[%u].name", i), e,
						"file '%s' is given twice", vm->files[i].name);
	return ERR_OK;
}

static int check_place(const struct source *s, const struct vm_file *vm, unsigned i, uint64_t *seen,
		       struct err *e)
{
	const struct vm_file_place *place = &vm->placement[i];

	if (!name_valid(place->cell))
		return wrong_at(s, line_of(s, "placement[%u].cell", i), e, "'%s' is no cell's name",
				place->cell);
	for (unsigned k = 0; k < i; k++)
		if (strcmp(place->cell, vm->placement[k].cell) == 0)
			return wrong_at(s, line_of(s, "placement[%u].cell", i), e,
					"cell '%s' is named twice", place->cell);
	for (unsigned k = 0; k < place->vcpus_count; k++) {
		uint32_t v = place->vcpus[k];
		unsigned line = line_of(s, "placement[%u].vcpus[%u]", i, k);

		if (v >= vm->vcpus)
			return wrong_at(s, line, e, "there is no vCPU %u: 'vcpus' is %u", v,
					vm->vcpus);
		if (*seen & 1ull << v)
			return wrong_at(s, line, e, "vCPU %u is placed twice", v);
		*seen |= 1ull << v;
	}
	return ERR_OK;
}

static int check_placement(const struct source *s, const struct vm_file *vm, struct err *e)
{
	uint64_t seen = 0;

	for (unsigned i = 0; i < vm->placement_count; i++) {
		int rc = check_place(s, vm, i, &seen, e);

		if (rc)
			return rc;
	}
	for (uint32_t v = 0; vm->placement_count && v < vm->vcpus; v++)
		if (!(seen & 1ull << v))
			return wrong_at(s, line_of(s, "placement"), e, "vCPU %u is not placed", v);
	return ERR_OK;
}

static int check_sense(const struct source *s, const struct vm_file *vm, uint64_t *memory,
		       struct err *e)
{
	int rc;

	if (!name_valid(vm->name))
		return wrong_at(s, line_of(s, "name"), e, "'name' must be %s",
				vm_schema_wants("name"));
	if (vm->vcpus < 1 || vm->vcpus > VM_FILE_VCPUS_MAX)
		return wrong_at(s, line_of(s, "vcpus"), e, "'vcpus' must be %s",
				vm_schema_wants("vcpus"));
	rc = check_memory(s, vm, memory, e);
	rc = rc ? rc : check_files(s, vm, e);
	return rc ? rc : check_placement(s, vm, e);
}

/* ---- the result ---- */

static void resolve(const char *base, const char *path, char out[PATH_MAX + VM_FILE_TEXT_MAX + 2])
{
	snprintf(out, PATH_MAX + VM_FILE_TEXT_MAX + 2, "%s%s%s", path[0] == '/' ? "" : base,
		 path[0] == '/' ? "" : "/", path);
}

/* A message whose parts were allocated one by one by the packer's own rules. */
static Cellular__VmSpec *copy_spec(const Cellular__VmSpec *spec)
{
	size_t n = cellular__vm_spec__get_packed_size(spec);
	uint8_t *packed = malloc(n + 1);
	Cellular__VmSpec *copy = NULL;

	if (packed) {
		cellular__vm_spec__pack(spec, packed);
		copy = cellular__vm_spec__unpack(NULL, n, packed);
	}
	free(packed);
	return copy;
}

/* Room for the messages inside a VmSpec while it is built. */
struct draft {
	Cellular__VmFile file[VM_FILE_FILES_MAX];
	Cellular__VmFile *files[VM_FILE_FILES_MAX];
	char path[VM_FILE_FILES_MAX + 1][PATH_MAX + VM_FILE_TEXT_MAX + 2];
	Cellular__VmPlacement place[VM_FILE_VCPUS_MAX];
	Cellular__VmPlacement *places[VM_FILE_VCPUS_MAX];
};

static Cellular__VmSpec *build(const struct vm_file *vm, uint64_t memory, const char *base,
			       struct draft *d)
{
	Cellular__VmSpec spec = CELLULAR__VM_SPEC__INIT;

	for (unsigned i = 0; i < vm->files_count; i++) {
		cellular__vm_file__init(&d->file[i]);
		resolve(base, vm->files[i].path, d->path[i]);
		d->file[i].name = vm->files[i].name;
		d->file[i].path = d->path[i];
		d->files[i] = &d->file[i];
	}
	for (unsigned i = 0; i < vm->placement_count; i++) {
		cellular__vm_placement__init(&d->place[i]);
		d->place[i].cell = vm->placement[i].cell;
		d->place[i].vcpus = vm->placement[i].vcpus;
		d->place[i].n_vcpus = vm->placement[i].vcpus_count;
		d->places[i] = &d->place[i];
	}
	resolve(base, vm->guest, d->path[VM_FILE_FILES_MAX]);
	spec.name = vm->name;
	spec.guest = d->path[VM_FILE_FILES_MAX];
	spec.args = vm->args;
	spec.n_args = vm->args_count;
	spec.files = d->files;
	spec.n_files = vm->files_count;
	spec.memory = memory;
	spec.vcpus = vm->vcpus;
	spec.placement = d->places;
	spec.n_placement = vm->placement_count;
	spec.on_exit = (Cellular__OnExit)vm->on_exit;
	return copy_spec(&spec);
}

int vm_file_parse(const char *text, size_t length, const char *where, const char *base,
		  Cellular__VmSpec **out, struct err *e)
{
	const struct source s = {text, length, where};
	struct vm_file *vm = NULL;
	struct draft *draft;
	struct yaml_mark at;
	struct err why;
	uint64_t memory = 0;
	int rc;

	if (yaml_check(text, length, &at, &why))
		return wrong_at(&s, at.line, e, "%s", why.text);
	rc = load_shape(&s, &vm, e);
	rc = rc ? rc : check_sense(&s, vm, &memory, e);
	if (rc) {
		free_shape(vm);
		return rc;
	}
	draft = calloc(1, sizeof(*draft));
	*out = draft ? build(vm, memory, base, draft) : NULL;
	free(draft);
	free_shape(vm);
	return *out ? ERR_OK : err_set(e, ERR_NOMEM, "no memory to read %s", where);
}

/* The directory a path lies in, absolute. */
static int directory_of(const char *path, char out[PATH_MAX], struct err *e)
{
	char copy[PATH_MAX], *slash;

	if (snprintf(copy, sizeof(copy), "%s", path) >= (int)sizeof(copy))
		return err_set(e, ERR_TOOBIG, "the path of the VM file is too long");
	slash = strrchr(copy, '/');
	if (slash)
		slash[1] = '\0';
	if (!realpath(slash ? copy : ".", out))
		return err_sys(e, errno, "cannot read %s", path);
	return ERR_OK;
}

int vm_file_load(const char *path, Cellular__VmSpec **out, struct err *e)
{
	char base[PATH_MAX], *text = NULL;
	size_t length = 0;
	int rc = directory_of(path, base, e);

	if (!rc)
		rc = fd_read_file(path, VM_FILE_BYTES_MAX, &text, &length, e);
	if (rc)
		return rc;
	rc = vm_file_parse(text, length, path, base, out, e);
	free(text);
	return rc;
}
