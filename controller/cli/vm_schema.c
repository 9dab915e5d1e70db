/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/cli/vm_schema.h"

#include <string.h>

#include "controller/cli/vm_file.h"
#include "controller/cli/yaml_lines.h"
#include "proto/control.pb-c.h"

enum { NAME_MAX_CHARS = 63 };

#define TEXT(key, type, member, min, max)                                                          \
	CYAML_FIELD_STRING_PTR(key, CYAML_FLAG_POINTER, type, member, min, max)

static const cyaml_schema_field_t file_fields[] = {
	TEXT("name", struct vm_file_entry, name, 1, NAME_MAX_CHARS),
	TEXT("path", struct vm_file_entry, path, 1, VM_FILE_TEXT_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t file_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct vm_file_entry, file_fields)};

static const cyaml_schema_value_t vcpu_value = {CYAML_VALUE_UINT(CYAML_FLAG_DEFAULT, uint32_t)};

static const cyaml_schema_field_t place_fields[] = {
	TEXT("cell", struct vm_file_place, cell, 1, NAME_MAX_CHARS),
	CYAML_FIELD_SEQUENCE("vcpus", CYAML_FLAG_POINTER, struct vm_file_place, vcpus, &vcpu_value,
			     1, VM_FILE_VCPUS_MAX),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t place_value = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct vm_file_place, place_fields)};

static const cyaml_schema_value_t arg_value = {
	CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, VM_FILE_TEXT_MAX)};

static const cyaml_strval_t on_exit_words[] = {
	{"destroy", CELLULAR__ON_EXIT__ON_EXIT_DESTROY},
	{"preserve", CELLULAR__ON_EXIT__ON_EXIT_PRESERVE},
};

enum { OPTIONAL_LIST = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL };

static const cyaml_schema_field_t vm_fields[] = {
	TEXT("name", struct vm_file, name, 1, NAME_MAX_CHARS),
	TEXT("guest", struct vm_file, guest, 1, VM_FILE_TEXT_MAX),
	CYAML_FIELD_SEQUENCE("args", OPTIONAL_LIST, struct vm_file, args, &arg_value, 0,
			     VM_FILE_ARGS_MAX),
	CYAML_FIELD_SEQUENCE("files", OPTIONAL_LIST, struct vm_file, files, &file_value, 0,
			     VM_FILE_FILES_MAX),
	TEXT("memory", struct vm_file, memory, 1, NAME_MAX_CHARS),
	CYAML_FIELD_UINT("vcpus", CYAML_FLAG_DEFAULT, struct vm_file, vcpus),
	CYAML_FIELD_SEQUENCE("placement", OPTIONAL_LIST, struct vm_file, placement, &place_value, 0,
			     VM_FILE_VCPUS_MAX),
	CYAML_FIELD_ENUM("on-exit", CYAML_FLAG_STRICT | CYAML_FLAG_OPTIONAL, struct vm_file,
			 on_exit, on_exit_words, CYAML_ARRAY_LEN(on_exit_words)),
	CYAML_FIELD_END,
};

const cyaml_schema_value_t vm_schema = {
	CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct vm_file, vm_fields)};

static const struct {
	const char *path, *wants;
} wants[] = {
	{"name", "a name: 1 to 63 of A-Z a-z 0-9 . _ -"},
	{"guest", "a path"},
	{"args", "a list of at most 63 strings"},
	{"args[]", "a string of at most 4095 bytes"},
	{"files", "a list of at most 32 {name: ..., path: ...}"},
	{"files[]", "{name: ..., path: ...}"},
	{"files[].name", "a name of 1 to 63 characters"},
	{"files[].path", "a path"},
	{"memory", "a size like 256MiB, from 2MiB to 64TiB"},
	{"vcpus", "a whole number from 1 to 64"},
	{"placement", "a list of {cell: ..., vcpus: [...]}"},
	{"placement[]", "{cell: ..., vcpus: [...]}"},
	{"placement[].cell", "the name of a cell"},
	{"placement[].vcpus", "a list of vCPU numbers, not empty"},
	{"placement[].vcpus[]", "the number of a vCPU, below 'vcpus'"},
	{"on-exit", "destroy or preserve"},
};

/* "placement[1].cell" -> "placement[].cell" */
static void without_indices(const char *path, char out[YAML_PATH_MAX])
{
	size_t n = 0;

	for (bool inside = false; *path && n < YAML_PATH_MAX - 1; path++) {
		if (*path == ']')
			inside = false;
		if (!inside)
			out[n++] = *path;
		if (*path == '[')
			inside = true;
	}
	out[n] = '\0';
}

const char *vm_schema_wants(const char *path)
{
	char plain[YAML_PATH_MAX];

	without_indices(path, plain);
	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++)
		if (strcmp(plain, wants[i].path) == 0)
			return wants[i].wants;
	return NULL;
}
