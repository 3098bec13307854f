dnl Flags are collected in PROJECT_CFLAGS and PROJECT_LDFLAGS, apart from the user's CFLAGS and
dnl LDFLAGS, and each is tried with -Werror: clang only warns about a flag that it does not know.

dnl LEVERET_IF_FLAGS(CFLAGS, LDFLAGS, IF-TRUE, IF-FALSE): does a program compile and link with them?
AC_DEFUN([LEVERET_IF_FLAGS], [
    leveret_saved_cflags=$CFLAGS
    leveret_saved_ldflags=$LDFLAGS
    CFLAGS="$CFLAGS -Werror $1"
    LDFLAGS="$LDFLAGS $2"
    AC_MSG_CHECKING([whether $CC takes $1$2])
    AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
        [leveret_flags_work=yes], [leveret_flags_work=no])
    AC_MSG_RESULT([$leveret_flags_work])
    CFLAGS=$leveret_saved_cflags
    LDFLAGS=$leveret_saved_ldflags
    AS_IF([test $leveret_flags_work = yes], [$3], [$4])
])

dnl LEVERET_TRY_CFLAGS(FLAGS): added when the compiler takes them.
AC_DEFUN([LEVERET_TRY_CFLAGS], [
    LEVERET_IF_FLAGS([$1], [], [PROJECT_CFLAGS="$PROJECT_CFLAGS $1"])
])

dnl LEVERET_NEED_CFLAGS(FLAGS): added; a compiler without them is refused.
AC_DEFUN([LEVERET_NEED_CFLAGS], [
    LEVERET_IF_FLAGS([$1], [], [PROJECT_CFLAGS="$PROJECT_CFLAGS $1"],
        [AC_MSG_ERROR([$CC does not take $1])])
])

dnl LEVERET_TRY_LDFLAGS(FLAGS): added when the linker takes them.
AC_DEFUN([LEVERET_TRY_LDFLAGS], [
    LEVERET_IF_FLAGS([], [$1], [PROJECT_LDFLAGS="$PROJECT_LDFLAGS $1"])
])

dnl LEVERET_NEED_SANITIZER(FLAGS): for the compiler and the linker; their absence is refused.
AC_DEFUN([LEVERET_NEED_SANITIZER], [
    LEVERET_NEED_CFLAGS([$1])
    PROJECT_LDFLAGS="$PROJECT_LDFLAGS $1"
])
