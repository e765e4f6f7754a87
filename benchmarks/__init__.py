"""How fast is it, beside what people use today? ``make bench`` measures and writes docs/performance.md."""
