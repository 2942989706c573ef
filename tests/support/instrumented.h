// Whether this is a sanitizer's build, in which everything takes several times as long.
#pragma once

namespace allod::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kInstrumented = true;
#else
inline constexpr bool kInstrumented = false;
#endif
// ThreadSanitizer has a thread of its own in every process, and a process with threads gets no user namespace.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool kMayHaveUserNamespace = false;
#else
inline constexpr bool kMayHaveUserNamespace = true;
#endif
// What limits of time are to be multiplied with.
inline constexpr int kSlowness = kInstrumented ? 10 : 1;

}  // namespace allod::test
