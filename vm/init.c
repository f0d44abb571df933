// SPDX-License-Identifier: GPL-2.0-only
/*
 * The first process of the virtual machine: prepares it, runs one command and
 * tells the host how that ended.
 *
 * The command's output goes to one virtio port and the verdict to another, so
 * that neither can be mistaken for the kernel's log on the console, nor the
 * log for them. vm/run is the other side.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/reboot.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* What the kernel says about itself that makes any result worthless */
#define TAINT_BAD_PAGE	(1UL << 5)
#define TAINT_DIE	(1UL << 7)
#define TAINT_WARN	(1UL << 9)
#define TAINT_LOCKUP	(1UL << 14)

static int verdict_fd = -1;

/* Open the virtio port of that name, waiting for the host to connect it */
static int open_port(const char *name)
{
	const char *class = "/sys/class/virtio-ports";

	for (int tries = 0; tries < 500; tries++) {
		DIR *dir = opendir(class);
		struct dirent *entry;

		while (dir && (entry = readdir(dir))) {
			char path[300], text[64] = "";
			int fd;

			snprintf(path, sizeof(path), "%s/%s/name", class, entry->d_name);
			fd = open(path, O_RDONLY | O_CLOEXEC);
			if (fd < 0)
				continue;
			if (read(fd, text, sizeof(text) - 1) > 0)
				text[strcspn(text, "\n")] = '\0';
			close(fd);
			if (strcmp(text, name))
				continue;
			snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
			fd = open(path, O_WRONLY | O_CLOEXEC);
			if (fd >= 0) {
				closedir(dir);
				return fd;
			}
		}
		if (dir)
			closedir(dir);
		usleep(10000);
	}
	return -1;
}

static void verdict(const char *fmt, ...)
{
	va_list ap;
	int ret;

	if (verdict_fd < 0)
		return;
	va_start(ap, fmt);
	ret = vdprintf(verdict_fd, fmt, ap);
	va_end(ap);
	if (ret >= 0 || errno != ENODEV)
		return;

	/* The command may have bound the driver anew: there is a new port. */
	close(verdict_fd);
	verdict_fd = open_port("verdict");
	va_start(ap, fmt);
	if (verdict_fd >= 0)
		vdprintf(verdict_fd, fmt, ap);
	va_end(ap);
}

static void __attribute__((noreturn)) power_off(void)
{
	sync();
	/* with qemu -no-reboot and reboot=t this ends the machine without ACPI */
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

/* The machine could not be prepared: no verdict on the command */
static void __attribute__((noreturn)) fail(const char *fmt, ...)
{
	char what[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	dprintf(STDERR_FILENO, "init: %s\n", what);
	verdict("fail %s\n", what);
	power_off();
}

static const struct {
	const char *source, *target, *type, *options;
} mounts[] = {
	{ "proc", "/proc", "proc", NULL },
	{ "sysfs", "/sys", "sysfs", NULL },
	{ "devtmpfs", "/dev", "devtmpfs", NULL },
	{ "debugfs", "/sys/kernel/debug", "debugfs", NULL },
	{ "tracefs", "/sys/kernel/tracing", "tracefs", NULL },
	{ "cgroup2", "/sys/fs/cgroup", "cgroup2", NULL },
	{ "devpts", "/dev/pts", "devpts", NULL },
	{ "tmpfs", "/dev/shm", "tmpfs", NULL },
	{ "tmpfs", "/tmp", "tmpfs", NULL },
};

static void mount_all(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		mkdir(mounts[i].target, 0755);
		if (mount(mounts[i].source, mounts[i].target, mounts[i].type, 0,
			  mounts[i].options))
			fail("mount %s on %s: %s", mounts[i].type,
			     mounts[i].target, strerror(errno));
	}
	if (symlink("/proc/self/fd", "/dev/fd") && errno != EEXIST)
		fail("/dev/fd: %s", strerror(errno));
	chmod("/tmp", 01777);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		fail("write \"%s\" to %s: %s", text, path, strerror(errno));
	close(fd);
}

/* Make a swap area of the device or file, as mkswap does, and use it */
static void swap_on(const char *device)
{
	static uint32_t header[65536 / sizeof(uint32_t)];
	const size_t page = sysconf(_SC_PAGESIZE);
	off_t bytes;
	int fd;

	fd = open(device, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fail("open %s: %s", device, strerror(errno));
	bytes = lseek(fd, 0, SEEK_END);
	header[1024 / 4] = 1;				/* version */
	header[1024 / 4 + 1] = bytes / page - 1;	/* last page */
	memcpy((char *)header + page - 10, "SWAPSPACE2", 10);
	if (pwrite(fd, header, page, 0) != (ssize_t)page || fsync(fd))
		fail("write %s: %s", device, strerror(errno));
	close(fd);
	if (swapon(device, 0))
		fail("swapon %s: %s", device, strerror(errno));
}

/*
 * Swap to a file of a file system on the device, without holes, as fallocate
 * makes one
 */
static void swap_on_file(const char *device, const char *bytes)
{
	const char *dir = "/swap", *path = "/swap/file";
	int fd;

	mkdir(dir, 0700);
	if (mount(device, dir, "ext4", 0, NULL))
		fail("mount %s on %s: %s", device, dir, strerror(errno));
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || fallocate(fd, 0, 0, strtoll(bytes, NULL, 10)))
		fail("%s of %s bytes: %s", path, bytes, strerror(errno));
	close(fd);
	swap_on(path);
}

/* The value that vm/run gave for a key; NULL if none */
static const char *setting(const char *key)
{
	static char text[4096];
	static ssize_t length = -1;
	static char value[256];
	size_t key_length = strlen(key);

	if (length < 0) {
		int fd = open("/.vm/settings", O_RDONLY | O_CLOEXEC);

		length = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
		if (length < 0)
			length = 0;
		text[length] = '\0';
		if (fd >= 0)
			close(fd);
	}
	for (const char *line = text; *line; ) {
		size_t n = strcspn(line, "\n");

		if (n > key_length && line[key_length] == '=' &&
		    !strncmp(line, key, key_length)) {
			snprintf(value, sizeof(value), "%.*s",
				 (int)(n - key_length - 1), line + key_length + 1);
			return value;
		}
		line += n + (line[n] == '\n');
	}
	return NULL;
}

/* The command and its arguments, each ended by a NUL */
static char **arguments(void)
{
	static char text[65536];
	static char *argv[1024];
	size_t argc = 0;
	ssize_t length;
	int fd;

	fd = open("/.vm/args", O_RDONLY | O_CLOEXEC);
	length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (length <= 0)
		fail("no command given");
	close(fd);
	for (char *arg = text; arg < text + length; arg += strlen(arg) + 1) {
		if (argc == ARRAY_SIZE(argv) - 1)
			fail("too many arguments");
		argv[argc++] = arg;
	}
	return argv;
}

static void __attribute__((noreturn)) run(char **argv, int out, int interactive)
{
	sigset_t none;

	setsid();
	if (interactive) {
		const char *rows = setting("rows");
		struct winsize size = { .ws_row = rows ? atoi(rows) : 24 };
		const char *columns = setting("columns");

		size.ws_col = columns ? atoi(columns) : 80;
		ioctl(out, TIOCSCTTY, 0);
		ioctl(out, TIOCSWINSZ, &size);
		dup2(out, STDIN_FILENO);
	} else {
		int null = open("/dev/null", O_RDONLY);

		dup2(null, STDIN_FILENO);
		if (null > STDERR_FILENO)
			close(null);
	}
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin", 1);
	setenv("HOME", "/root", 1);
	setenv("TERM", interactive && setting("term") ? setting("term") : "dumb", 1);
	if (chdir("/root") || execvp(argv[0], argv)) {
		fprintf(stderr, "init: cannot run %s: %s\n", argv[0], strerror(errno));
		fflush(stderr);
	}
	_exit(127);
}

static unsigned long taint(void)
{
	char text[32] = "";
	int fd = open("/proc/sys/kernel/tainted", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		fail("cannot read the kernel's taint");
	close(fd);
	return strtoul(text, NULL, 10);
}

int main(void)
{
	const unsigned long bad = TAINT_BAD_PAGE | TAINT_DIE | TAINT_WARN |
				  TAINT_LOCKUP;
	int interactive, out, status = 0;
	const char *swap, *disk;
	unsigned long tainted;
	char **argv;
	pid_t child, pid;

	mount_all();
	verdict_fd = open_port("verdict");
	if (verdict_fd < 0)
		fail("no port for the verdict");

	argv = arguments();
	interactive = setting("interactive") != NULL;
	out = interactive ? open("/dev/hvc0", O_RDWR | O_CLOEXEC) :
			    open_port("output");
	if (out < 0)
		fail("no port for the output");

	swap = setting("swap");
	if (swap && !strcmp(swap, "zram")) {
		write_file("/sys/block/zram0/disksize", setting("swap_bytes"));
		swap_on("/dev/zram0");
	} else if (swap && !strcmp(swap, "disk")) {
		swap_on("/dev/vda");
	} else if (swap && !strcmp(swap, "file")) {
		swap_on_file("/dev/vda", setting("swap_bytes"));
	}
	disk = setting("disk");
	if (disk) {
		mkdir("/disk", 0755);
		if (mount(disk, "/disk", "ext4", 0, NULL))
			fail("mount %s on /disk: %s", disk, strerror(errno));
	}

	child = fork();
	if (child < 0)
		fail("fork: %s", strerror(errno));
	if (!child)
		run(argv, out, interactive);
	close(out);

	do {
		pid = wait(&status);
		if (pid < 0 && errno != EINTR)
			fail("wait: %s", strerror(errno));
	} while (pid != child);

	/* what the command left running must not outlive the verdict */
	kill(-1, SIGKILL);
	while (wait(NULL) > 0 || errno == EINTR)
		;
	tainted = taint() & bad;
	verdict("taint %lu\n", tainted);
	if (WIFSIGNALED(status))
		verdict("signal %d\n", WTERMSIG(status));
	else
		verdict("exit %d\n", WEXITSTATUS(status));
	close(verdict_fd);
	power_off();
}
