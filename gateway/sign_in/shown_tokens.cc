#include "gateway/sign_in/shown_tokens.h"

namespace allod::gateway::sign_in {

bool ShownTokens::Claim(const Digest256& token, const std::string& provider, Time end, Time now) {
  const std::scoped_lock lock(mutex_);
  if (const auto found = tokens_.find(token); found != tokens_.end() && found->second.end > now) {
    return found->second.provider == provider;
  }
  if (tokens_.size() >= kTokensMax) {
    std::erase_if(tokens_, [&](const auto& one) { return one.second.end <= now; });
    if (tokens_.size() >= kTokensMax) return false;
  }
  tokens_[token] = {provider, end};
  return true;
}

}  // namespace allod::gateway::sign_in
