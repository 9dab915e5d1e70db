/* SPDX-License-Identifier: Apache-2.0 */
#include "node/celld/preflight.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { KVM_API = 12 };

int preflight_kvm(struct err *e)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC), version;

	if (fd < 0 && (errno == ENOENT || errno == ENODEV || errno == ENXIO))
		return err_set(e, ERR_NOTFOUND,
			       "this machine has no /dev/kvm: VMs cannot run here");
	if (fd < 0)
		return err_sys(e, errno, "cannot open /dev/kvm (is this user in its group?)");
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	close(fd);
	if (version != KVM_API)
		return err_set(e, ERR_UNSUPPORTED, "/dev/kvm speaks API version %d, not %d",
			       version, KVM_API);
	return ERR_OK;
}

static int open_userfaultfd(void)
{
	int device, fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd >= 0 || errno != EPERM)
		return fd;
	device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	if (device < 0) {
		errno = EPERM;
		return -1;
	}
	fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
	close(device);
	return fd;
}

int preflight_userfaultfd(struct err *e)
{
	int fd = open_userfaultfd();

	if (fd >= 0) {
		close(fd);
		return ERR_OK;
	}
	if (errno == ENOSYS)
		return err_set(e, ERR_UNSUPPORTED, "this kernel has no userfaultfd");
	return err_sys(e, errno,
		       "no right to userfaultfd: run celld with CAP_SYS_PTRACE, or give it "
		       "/dev/userfaultfd");
}

int preflight_address(const char *ip, struct err *e)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	struct sockaddr_in four = {.sin_family = AF_INET};
	struct sockaddr *address = (struct sockaddr *)&four;
	socklen_t n = sizeof(four);
	int fd, rc = ERR_OK;

	if (inet_pton(AF_INET6, ip, &six.sin6_addr) == 1) {
		address = (struct sockaddr *)&six;
		n = sizeof(six);
	} else if (inet_pton(AF_INET, ip, &four.sin_addr) != 1 ||
		   four.sin_addr.s_addr == htonl(INADDR_ANY)) {
		return err_set(e, ERR_INVALID, "'%.64s' is no IP address other cells could dial",
			       ip);
	}
	fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, errno, "cannot make a socket");
	if (bind(fd, address, n) != 0)
		rc = errno == EADDRNOTAVAIL
			     ? err_set(e, ERR_NOTFOUND, "%s is no address of this machine", ip)
			     : err_sys(e, errno, "cannot use address %s", ip);
	close(fd);
	return rc;
}

int preflight_program(const char *program, struct err *e)
{
	struct stat st;

	if (stat(program, &st) != 0 || access(program, X_OK) != 0)
		return err_sys(e, errno, "cannot run %s", program);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_INVALID, "%s is no program", program);
	return ERR_OK;
}
