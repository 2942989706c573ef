#include "services/common/redis.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <hiredis.h>
#include <signal.h>
#include <sys/time.h>

#include <cerrno>
#include <charconv>
#include <mutex>
#include <optional>
#include <string_view>

#include "services/common/digest.h"
#include "services/common/log.h"

namespace allod {
namespace {

using std::chrono::steady_clock;

constexpr auto kReconnectPause = std::chrono::seconds(1);
constexpr std::size_t kArgumentsMax = 1024;
constexpr std::size_t kIntegersMax = 4096;

std::unexpected<Error> Unavailable() {
  return std::unexpected(Error{Code::kUnavailable, "REDIS_UNAVAILABLE", "the rate limit store cannot be reached",
                               std::chrono::milliseconds(kReconnectPause)});
}

struct FreeContext {
  void operator()(redisContext* context) const { redisFree(context); }
};
struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Context = std::unique_ptr<redisContext, FreeContext>;
using Reply = std::unique_ptr<redisReply, FreeReply>;

Context Connect(const RedisConfig& config) {
  const timeval timeout{static_cast<time_t>(config.timeout.count() / 1000),
                        static_cast<suseconds_t>(config.timeout.count() % 1000 * 1000)};
  Context out;
  constexpr std::string_view kUnix = "unix:";
  if (config.url.starts_with(kUnix)) {
    out.reset(redisConnectUnixWithTimeout(config.url.substr(kUnix.size()).c_str(), timeout));
  } else {
    const std::size_t colon = config.url.rfind(':');
    const std::string host = config.url.substr(0, colon);
    int port = 0;
    if (colon != std::string::npos) {
      const char* end = config.url.data() + config.url.size();
      if (std::from_chars(config.url.data() + colon + 1, end, port).ptr != end) port = 0;
    }
    if (host.empty() || port < 1 || port > 65535) return nullptr;
    out.reset(redisConnectWithTimeout(host.c_str(), port, timeout));
  }
  if (!out || out->err != 0) return nullptr;
  fcntl(out->fd, F_SETFD, FD_CLOEXEC);
  redisSetTimeout(out.get(), timeout);
  return out;
}

Result<std::vector<std::int64_t>> ToIntegers(const redisReply& reply) {
  const auto bad = [] { return Internal("the script did not return an array of integers"); };
  if (reply.type != REDIS_REPLY_ARRAY || reply.elements > kIntegersMax) return bad();
  std::vector<std::int64_t> out;
  for (std::size_t i = 0; i < reply.elements; ++i) {
    if (reply.element[i]->type != REDIS_REPLY_INTEGER) return bad();
    out.push_back(reply.element[i]->integer);
  }
  return out;
}

}  // namespace

struct Redis::Impl {
  explicit Impl(RedisConfig redis_config) : config(std::move(redis_config)) {}

  // One command; a reply of any type, errors of Redis included.
  Result<Reply> Command(const std::vector<std::string_view>& words) {
    const bool was_connected = context != nullptr;
    if (!context && !Reconnect()) return Unavailable();
    Reply reply = Send(words);
    // The connection may have died while it lay idle, e.g. because Redis was restarted. A time-out is not repeated: the
    // caller has waited long enough. At worst a command runs twice, which what is kept in Redis must bear.
    if (!reply && was_connected && !timed_out && Reconnect()) reply = Send(words);
    if (!reply) return Unavailable();
    return reply;
  }

  const RedisConfig config;
  std::mutex mutex;

 private:
  Reply Send(const std::vector<std::string_view>& words) {
    std::vector<const char*> data;
    std::vector<std::size_t> sizes;
    for (const std::string_view word : words) {
      data.push_back(word.data());
      sizes.push_back(word.size());
    }
    Reply out(static_cast<redisReply*>(
        redisCommandArgv(context.get(), static_cast<int>(words.size()), data.data(), sizes.data())));
    if (!out) {
      timed_out = context->err == REDIS_ERR_IO && errno == EAGAIN;
      context.reset();
    }
    return out;
  }

  bool Reconnect() {
    const auto now = steady_clock::now();
    if (last_attempt && now - *last_attempt < kReconnectPause) return false;
    last_attempt = now;
    context = Connect(config);
    if (!context) Log(LogLevel::kWarning, "redis cannot be reached");
    return context != nullptr;
  }

  Context context;
  std::optional<steady_clock::time_point> last_attempt;
  bool timed_out = false;
};

namespace {

// hiredis writes without MSG_NOSIGNAL: a Redis that went away must not end the process. Another handler is left alone.
void IgnoreBrokenPipes() {
  struct sigaction current {};
  if (sigaction(SIGPIPE, nullptr, &current) == 0 && current.sa_handler == SIG_DFL) signal(SIGPIPE, SIG_IGN);
}

// nullopt unless the reply is an error. A Redis that is loading, full or read-only is as good as absent.
std::optional<Error> ToError(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_ERROR) return std::nullopt;
  const std::string_view text(reply.str, reply.len);
  for (const std::string_view state : {"LOADING", "BUSY", "OOM", "READONLY", "MISCONF", "MASTERDOWN", "NOAUTH"}) {
    if (text.starts_with(state)) return Unavailable().error();
  }
  Log(LogLevel::kError, "redis refused a command", {{"detail", std::string(text.substr(0, 200))}});
  return Internal("Redis refused the command; the service's log says more").error();
}

}  // namespace

Redis::Redis(RedisConfig config) : impl_(std::make_unique<Impl>(std::move(config))) { IgnoreBrokenPipes(); }
Redis::~Redis() = default;

Status Redis::Ping() {
  const std::lock_guard lock(impl_->mutex);
  ALLOD_TRY(const Reply reply, impl_->Command({"PING"}));
  if (auto error = ToError(*reply)) return std::unexpected(*std::move(error));
  return {};
}

Result<std::vector<std::int64_t>> Redis::Eval(const std::string& script, const std::vector<std::string>& keys,
                                              const std::vector<std::string>& args) {
  if (keys.size() + args.size() > kArgumentsMax) {
    return InvalidArgument("TOO_MANY_ARGUMENTS", fmt::format("a script takes at most {} arguments", kArgumentsMax));
  }
  const std::string digest = ToHex(Sha1(script));
  const std::string key_count = std::to_string(keys.size());
  std::vector<std::string_view> words = {"EVALSHA", digest, key_count};
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), args.begin(), args.end());
  const std::lock_guard lock(impl_->mutex);
  ALLOD_TRY(Reply reply, impl_->Command(words));
  if (reply->type == REDIS_REPLY_ERROR && std::string_view(reply->str, reply->len).starts_with("NOSCRIPT")) {
    words[0] = "EVAL";
    words[1] = script;
    ALLOD_TRY(reply, impl_->Command(words));
  }
  if (auto error = ToError(*reply)) return std::unexpected(*std::move(error));
  return ToIntegers(*reply);
}

}  // namespace allod
