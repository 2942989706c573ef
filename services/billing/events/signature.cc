#include "services/billing/events/signature.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/common/digest.h"
#include "services/common/jose/base64url.h"

namespace allod::billing::events {
namespace {

std::string_view Bytes(const Digest256& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

}  // namespace

std::string EncodeBase64(std::string_view bytes) {
  std::string out = jose::EncodeBase64Url(bytes);
  std::ranges::replace(out, '-', '+');
  std::ranges::replace(out, '_', '/');
  out.append((4 - out.size() % 4) % 4, '=');
  return out;
}

std::string SinkSecrets::Secret(std::string_view sink, const Uuid& salt) const {
  return std::string(Bytes(DeriveKey(root_, salt.ToString(), fmt::format("event sink {}", sink))));
}

std::string SinkSecrets::Shown(std::string_view sink, const Uuid& salt) const {
  return "whsec_" + EncodeBase64(Secret(sink, salt));
}

std::string SignWebhook(std::string_view secret, std::string_view id, std::int64_t seconds, std::string_view body) {
  return "v1," + EncodeBase64(Bytes(HmacSha256(secret, fmt::format("{}.{}.{}", id, seconds, body))));
}

}  // namespace allod::billing::events
