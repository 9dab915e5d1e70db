/* SPDX-License-Identifier: Apache-2.0 */
/*
 * printf for guests and their native twins alike, so that both print the same bytes. Doubles are
 * scaled in double arithmetic: the same on both sides, not correctly rounded in the last digits.
 * Programs that compare results print bits or checksums.
 */
#include "node/guest/g.h"

struct sink {
	char *out;
	size_t room, n;
};

struct spec {
	bool left, zero;
	int width, precision; /* precision -1: not given */
	int size;	      /* bytes of an integer argument */
};

static void put(struct sink *s, char c)
{
	if (s->n + 1 < s->room)
		s->out[s->n] = c;
	s->n++;
}

static void put_padded(struct sink *s, const struct spec *f, bool minus, const char *text, int n)
{
	int fill = f->width - n - minus;

	if (!f->left && !f->zero)
		for (; fill > 0; fill--)
			put(s, ' ');
	if (minus)
		put(s, '-');
	if (!f->left && f->zero)
		for (; fill > 0; fill--)
			put(s, '0');
	for (int i = 0; i < n; i++)
		put(s, text[i]);
	for (; fill > 0; fill--)
		put(s, ' ');
}

/* Writes the digits of v before `end`; returns where they begin. */
static char *digits(char *end, uint64_t v, unsigned base)
{
	do
		*--end = "0123456789abcdef"[v % base];
	while (v /= base);
	return end;
}

static void put_number(struct sink *s, const struct spec *f, bool minus, uint64_t v, unsigned base)
{
	char text[24], *first = digits(text + sizeof(text), v, base);

	put_padded(s, f, minus, first, (int)(text + sizeof(text) - first));
}

static double power_of_ten(int n)
{
	double p = 1;

	while (n-- > 0)
		p *= 10;
	return p;
}

/* |v| below 2^63 with `places` digits after the point, at most 9; larger ones and NaN as words. */
static char *fixed(char *end, double v, int places)
{
	uint64_t scale = (uint64_t)power_of_ten(places), whole = (uint64_t)v;
	uint64_t part = (uint64_t)((v - (double)whole) * (double)scale + 0.5);
	char *first = end;

	if (part >= scale) {
		whole++;
		part -= scale;
	}
	for (int i = 0; i < places; i++, part /= 10)
		*--first = (char)('0' + part % 10);
	if (places)
		*--first = '.';
	return digits(first, whole, 10);
}

static void put_double(struct sink *s, const struct spec *f, double v, char kind)
{
	int places = f->precision < 0 ? 6 : f->precision > 9 ? 9 : f->precision, power = 0;
	char text[64], *end = text + sizeof(text), *first;
	bool minus = v < 0;

	v = minus ? -v : v;
	if (v != v || v > 1.7976931348623157e308) {
		put_padded(s, f, minus, v != v ? "nan" : "inf", 3);
		return;
	}
	if (kind == 'e' || v >= 9e18) {
		for (; v >= 10; power++)
			v /= 10;
		for (; v > 0 && v < 1; power--)
			v *= 10;
		first = digits(end, (uint64_t)(power < 0 ? -power : power), 10);
		if (end - first < 2)
			*--first = '0';
		*--first = power < 0 ? '-' : '+';
		*--first = 'e';
		end = first;
	}
	first = fixed(end, v, places);
	put_padded(s, f, minus, first, (int)(text + sizeof(text) - first));
}

static const char *parse_spec(const char *p, struct spec *f, va_list *ap)
{
	*f = (struct spec){.precision = -1, .size = 4};
	for (; *p == '-' || *p == '0'; p++)
		*(*p == '-' ? &f->left : &f->zero) = true;
	if (*p == '*') {
		f->width = va_arg(*ap, int);
		p++;
	}
	for (; *p >= '0' && *p <= '9'; p++)
		f->width = f->width * 10 + *p - '0';
	if (*p == '.') {
		f->precision = 0;
		if (*++p == '*') {
			f->precision = va_arg(*ap, int);
			p++;
		}
		for (; *p >= '0' && *p <= '9'; p++)
			f->precision = f->precision * 10 + *p - '0';
	}
	for (; *p == 'l' || *p == 'z'; p++)
		f->size = 8;
	return p;
}

static void put_string(struct sink *s, const struct spec *f, const char *text)
{
	int n = 0;

	if (!text)
		text = "(null)";
	while ((f->precision < 0 || n < f->precision) && text[n])
		n++;
	put_padded(s, f, false, text, n);
}

static void put_signed(struct sink *s, const struct spec *f, int64_t v)
{
	put_number(s, f, v < 0, v < 0 ? -(uint64_t)v : (uint64_t)v, 10);
}

size_t g_format(char *out, size_t room, const char *fmt, va_list arguments)
{
	struct sink s = {out, room, 0};
	struct spec f;
	va_list ap;

	va_copy(ap, arguments);
	for (const char *p = fmt; *p; p++) {
		if (*p != '%') {
			put(&s, *p);
			continue;
		}
		p = parse_spec(p + 1, &f, &ap);
		switch (*p) {
		case 'd':
		case 'i':
			put_signed(&s, &f, f.size == 8 ? va_arg(ap, int64_t) : va_arg(ap, int));
			break;
		case 'u':
		case 'x':
			put_number(&s, &f, false,
				   f.size == 8 ? va_arg(ap, uint64_t) : va_arg(ap, unsigned),
				   *p == 'x' ? 16 : 10);
			break;
		case 'f':
		case 'e':
			put_double(&s, &f, va_arg(ap, double), *p);
			break;
		case 's':
			put_string(&s, &f, va_arg(ap, const char *));
			break;
		case 'c':
			put(&s, (char)va_arg(ap, int));
			break;
		case 0:
			p--;
			break;
		default:
			put(&s, *p);
		}
	}
	va_end(ap);
	if (room)
		out[s.n < room ? s.n : room - 1] = 0;
	return s.n;
}
