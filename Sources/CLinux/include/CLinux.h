// What Linux offers and Swift's Glibc module hides: each declaration says why it is here.
#ifndef VMLAB_CLINUX_H
#define VMLAB_CLINUX_H

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#endif
