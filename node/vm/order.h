/* SPDX-License-Identifier: Apache-2.0 */
/* FragStart, checked and turned into what vm.h and load.h want. */
#ifndef CELLULAR_NODE_ORDER_H
#define CELLULAR_NODE_ORDER_H

#include "node/vm/load.h"
#include "node/vm/vm.h"

struct order {
	Cellular__FragStart *message; /* a copy: strings below point into it */
	char listen[TRANSPORT_ADDRESS_MAX];
	struct vm_config vm;	 /* kvm, context and poke are the caller's to fill in */
	struct load_config load; /* for member 0 */
	struct load_file file[GUEST_FILES_MAX];
};

/* Errors: INVALID with what is wrong, TOOBIG, NOMEM. order_free is needed only after ERR_OK. */
int order_take(const Cellular__FragStart *message, struct order *out, struct err *e);
void order_free(struct order *o);

#endif
