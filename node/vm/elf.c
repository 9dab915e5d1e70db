/* SPDX-License-Identifier: Apache-2.0 */
#include "node/vm/elf.h"

#include <elf.h>
#include <stdbool.h>
#include <string.h>

#define ADDRESS_END (1ull << 47)

static int check_header(const Elf64_Ehdr *h, size_t n, struct err *e)
{
	if (n < sizeof(*h) || memcmp(h->e_ident, ELFMAG, SELFMAG))
		return err_set(e, ERR_INVALID, "not an ELF file");
	if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB ||
	    h->e_machine != EM_X86_64)
		return err_set(e, ERR_INVALID, "not a 64-bit x86 ELF");
	if (h->e_ident[EI_VERSION] != EV_CURRENT || h->e_version != EV_CURRENT)
		return err_set(e, ERR_INVALID, "not an ELF of version 1");
	if (h->e_type != ET_EXEC)
		return err_set(e, ERR_INVALID, "not a static executable (ELF type %u)", h->e_type);
	if (h->e_phentsize != sizeof(Elf64_Phdr) || !h->e_phnum)
		return err_set(e, ERR_INVALID, "not a loadable ELF: no program headers");
	if (h->e_phoff > n || (n - h->e_phoff) / sizeof(Elf64_Phdr) < h->e_phnum)
		return err_set(e, ERR_INVALID,
			       "not a whole ELF: program headers lie outside the file");
	return ERR_OK;
}

static int check_segment(const Elf64_Phdr *p, size_t n, struct gpa low,
			 const struct elf_image *image, struct err *e)
{
	if (p->p_filesz > p->p_memsz)
		return err_set(e, ERR_INVALID,
			       "not a sound ELF: segment larger in the file than in memory");
	if (p->p_offset > n || p->p_filesz > n - p->p_offset)
		return err_set(e, ERR_INVALID, "not a whole ELF: a segment lies outside the file");
	if (p->p_vaddr < low.v || p->p_vaddr >= ADDRESS_END ||
	    p->p_memsz > ADDRESS_END - p->p_vaddr)
		return err_set(e, ERR_INVALID,
			       "not linked for this machine: segment at 0x%llx, memory for "
			       "programs begins at 0x%llx",
			       (unsigned long long)p->p_vaddr, (unsigned long long)low.v);
	if (p->p_vaddr < image->end.v)
		return err_set(e, ERR_INVALID,
			       "not a sound ELF: segments overlap or are out of order");
	if (image->n == ELF_SEGMENTS_MAX)
		return err_set(e, ERR_TOOBIG, "more than %d segments", ELF_SEGMENTS_MAX);
	return ERR_OK;
}

static void add_segment(const Elf64_Phdr *p, struct elf_image *image)
{
	image->segment[image->n++] = (struct elf_segment){
		.offset = p->p_offset,
		.bytes = p->p_filesz,
		.address = {p->p_vaddr},
		.memory = p->p_memsz,
	};
	image->end.v = p->p_vaddr + p->p_memsz;
}

int elf_parse(const void *file, size_t n, struct gpa low, struct elf_image *out, struct err *e)
{
	bool entry = false;
	Elf64_Ehdr h = {0};
	Elf64_Phdr p;
	int rc;

	memset(out, 0, sizeof(*out));
	memcpy(&h, file, n < sizeof(h) ? n : sizeof(h));
	if ((rc = check_header(&h, n, e)))
		return rc;
	for (unsigned i = 0; i < h.e_phnum; i++) {
		memcpy(&p, (const char *)file + h.e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_type == PT_INTERP || p.p_type == PT_DYNAMIC)
			return err_set(e, ERR_INVALID,
				       "not a static executable: it wants a dynamic linker");
		if (p.p_type != PT_LOAD || !p.p_memsz)
			continue;
		if ((rc = check_segment(&p, n, low, out, e)))
			return rc;
		add_segment(&p, out);
		entry |= (p.p_flags & PF_X) && h.e_entry >= p.p_vaddr &&
			 h.e_entry - p.p_vaddr < p.p_memsz;
	}
	if (!entry)
		return err_set(e, ERR_INVALID,
			       "not a sound ELF: entry 0x%llx is in no executable segment",
			       (unsigned long long)h.e_entry);
	out->entry.v = h.e_entry;
	return ERR_OK;
}
