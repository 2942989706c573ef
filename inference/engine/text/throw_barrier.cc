#include "inference/engine/text/throw_barrier.h"

#include <dlfcn.h>
#include <unwind.h>

#include <cstring>
#include <optional>
#include <string_view>

namespace allod::inference::engine::text {
namespace {

// How pointers are written (Linux Standard Base, DWARF extensions, "Exception header encoding"): those that are in use.
constexpr std::uint8_t kOmitted = 0xFF;
constexpr std::uint8_t kUnsignedLeb = 0x01;
constexpr std::uint8_t kFormat = 0x0F;  // of its bits
constexpr std::uint8_t kPointer = 0x00;
constexpr std::uint8_t kUnsigned4 = 0x03;
constexpr std::uint8_t kUnsigned8 = 0x04;
constexpr std::uint8_t kSigned4 = 0x0B;
constexpr std::uint8_t kSigned8 = 0x0C;

class Reader {
 public:
  explicit Reader(const std::uint8_t* at) : at_(at) {}

  const std::uint8_t* at() const { return at_; }
  std::uint8_t Byte() { return *at_++; }

  std::uint64_t Leb() {
    std::uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const std::uint8_t byte = Byte();
      if (shift < 64) value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
      if ((byte & 0x80U) == 0) return value;
    }
  }
  std::int64_t SignedLeb() {
    std::uint64_t value = 0;
    for (unsigned shift = 0;;) {
      const std::uint8_t byte = Byte();
      value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
      shift += 7;
      if ((byte & 0x80U) != 0 && shift < 64) continue;
      if ((byte & 0x40U) != 0 && shift < 64) value |= ~std::uint64_t{0} << shift;
      return static_cast<std::int64_t>(value);
    }
  }
  // An offset; nullopt: written in a way that is not known here.
  std::optional<std::uint64_t> Offset(std::uint8_t encoding) {
    if (encoding == kUnsignedLeb) return Leb();
    if (encoding != kUnsigned4) return std::nullopt;
    std::uint32_t value = 0;
    std::memcpy(&value, at_, sizeof(value));
    at_ += sizeof(value);
    return value;
  }

 private:
  const std::uint8_t* at_;
};

std::size_t BytesOf(std::uint8_t encoding) {
  switch (encoding & kFormat) {
    case kPointer:
    case kUnsigned8:
    case kSigned8:
      return 8;
    case kUnsigned4:
    case kSigned4:
      return 4;
    default:
      return 0;
  }
}

enum class Verdict { kPasses, kCaught, kBarred };

// `types_end`: the types that are caught are written backwards from here.
Verdict VerdictOf(const std::uint8_t* actions, std::uint64_t action, const std::uint8_t* types_end,
                  std::uint8_t encoding) {
  if (action == 0) return Verdict::kPasses;  // only destructors
  Reader record(actions + action - 1);
  while (true) {
    const std::int64_t filter = record.SignedLeb();
    if (filter < 0) return Verdict::kBarred;  // a list of what may be thrown
    if (filter > 0) {
      const std::size_t bytes = BytesOf(encoding);
      if (types_end == nullptr || bytes == 0) return Verdict::kBarred;
      std::uint64_t type = 0;
      std::memcpy(&type, types_end - static_cast<std::size_t>(filter) * bytes, bytes);
      if (type == 0) return Verdict::kCaught;
    }
    const std::uint8_t* const here = record.at();
    const std::int64_t next = record.SignedLeb();
    if (next == 0) return Verdict::kPasses;
    record = Reader(here + next);
  }
}

Verdict VerdictOf(_Unwind_Context* context) {
  const auto* table = static_cast<const std::uint8_t*>(
      reinterpret_cast<const void*>(_Unwind_GetLanguageSpecificData(context)));  // NOLINT(performance-no-int-to-ptr)
  if (table == nullptr) return Verdict::kPasses;
  int is_before = 0;
  const std::uint64_t address = _Unwind_GetIPInfo(context, &is_before) - (is_before == 0 ? 1 : 0);
  const std::uint64_t place = address - _Unwind_GetRegionStart(context);

  Reader reader(table);
  if (reader.Byte() != kOmitted) return Verdict::kBarred;  // landing pads elsewhere: no compiler of ours does it
  const std::uint8_t type_encoding = reader.Byte();
  const std::uint8_t* types_end = nullptr;
  if (type_encoding != kOmitted) {
    const std::uint64_t offset = reader.Leb();
    types_end = reader.at() + offset;
  }
  const std::uint8_t call_encoding = reader.Byte();
  const std::uint64_t length = reader.Leb();
  const std::uint8_t* const actions = reader.at() + length;
  while (reader.at() < actions) {
    const auto begin = reader.Offset(call_encoding);
    const auto size = reader.Offset(call_encoding);
    const auto landing = reader.Offset(call_encoding);
    const std::uint64_t action = reader.Leb();
    if (!begin || !size || !landing || place < *begin) break;
    if (place >= *begin + *size) continue;
    return *landing == 0 ? Verdict::kPasses : VerdictOf(actions, action, types_end, type_encoding);
  }
  return Verdict::kBarred;  // a call that must not throw is in no table
}

// By the names of the Itanium ABI (5.1.4.3), of those that are exported; and where nlohmann's JSON destroys its
// children, which its destructor calls.
bool IsDestructor(_Unwind_Context* context) {
  void* const begin = reinterpret_cast<void*>(_Unwind_GetRegionStart(context));  // NOLINT(performance-no-int-to-ptr)
  Dl_info info{};
  if (dladdr(begin, &info) == 0 || info.dli_sname == nullptr || info.dli_saddr != begin) return false;
  const std::string_view name(info.dli_sname);
  return name.ends_with("D0Ev") || name.ends_with("D1Ev") || name.ends_with("D2Ev") ||
         name.find("10json_value7destroyE") != std::string_view::npos;
}

// What a function may push for a call of many arguments, beside what it had at another.
constexpr std::uintptr_t kPushedMax = 256;

struct Walk {
  std::uintptr_t stack;
  std::uintptr_t function;
  bool is_barred = true;  // until the end is reached
};

_Unwind_Reason_Code Visit(_Unwind_Context* context, void* argument) {
  auto& walk = *static_cast<Walk*>(argument);
  Verdict verdict = VerdictOf(context);
  if (verdict == Verdict::kPasses && IsDestructor(context)) verdict = Verdict::kBarred;
  // The frame's stack pointer.
  const std::uintptr_t stack = _Unwind_GetCFA(context);
  const bool is_owner = _Unwind_GetRegionStart(context) == walk.function && stack + kPushedMax >= walk.stack;
  const bool is_last = is_owner || stack > walk.stack;
  if (verdict == Verdict::kPasses && !is_last) return _URC_NO_REASON;
  walk.is_barred = verdict == Verdict::kBarred;
  return _URC_END_OF_STACK;
}

}  // namespace

bool IsThrowBarred(const CallPlace& owner) {
  Walk walk{owner.stack, reinterpret_cast<std::uintptr_t>(_Unwind_FindEnclosingFunction(owner.code))};
  _Unwind_Backtrace(&Visit, &walk);
  return walk.is_barred;
}

}  // namespace allod::inference::engine::text
