// futex(2) on a word that two processes map.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <ctime>

namespace allod::inference::gate {

// Sleeps while the word is `expected`, at most for `timeout`; may return early for no reason.
inline void FutexWait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                      std::chrono::nanoseconds timeout) {
  timespec relative{};
  relative.tv_sec = static_cast<std::time_t>(timeout / std::chrono::seconds(1));
  relative.tv_nsec = static_cast<long>((timeout % std::chrono::seconds(1)).count());
  syscall(SYS_futex, &word, FUTEX_WAIT, expected, &relative, nullptr, 0);
}

inline void FutexWake(const std::atomic<std::uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

}  // namespace allod::inference::gate
