#include "services/common/web/curl_fetcher.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "services/common/catching.h"

namespace allod {
namespace {

constexpr long kConnectTimeoutMs = 2500;
// How long the thread may sleep through a stop that it was not woken for.
constexpr int kPollMs = 1000;
constexpr long kOk = 200;
constexpr long kRedirects = 300;
constexpr long kBadRequest = 400;
constexpr long kUnauthorized = 401;
constexpr std::size_t kErrorWordMax = 64;

std::unexpected<Error> Failed(std::string_view url, std::string_view why) {
  return Fail(Code::kUnavailable, "FETCH_FAILED", fmt::format("{} cannot be read: {}", url, why));
}

// Nothing of a URL without one, and of one that names a user in it: readers of URLs do not agree where its host begins.
std::string_view HostOf(std::string_view url) {
  const std::size_t begin = url.find("://");
  if (begin == std::string_view::npos) return {};
  const std::string_view rest = url.substr(begin + 3);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  if (authority.find('@') != std::string_view::npos) return {};
  const std::size_t colon = authority.rfind(':');
  return colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos
             ? authority.substr(0, colon)
             : authority;
}

}  // namespace

struct CurlFetcher::Transfer {
  std::string url;
  FetchRequest request;
  curl_slist* headers = nullptr;
  Done done;
  const AddressPolicy* policy = nullptr;
  const Options* options = nullptr;
  CURL* easy = nullptr;
  std::string body;
  bool is_too_large = false;
  bool is_forbidden = false;  // an address was not allowed

  Transfer() = default;
  Transfer(const Transfer&) = delete;
  ~Transfer() { curl_slist_free_all(headers); }

  static std::size_t OnData(char* data, std::size_t size, std::size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    const std::size_t bytes = size * count;
    if (transfer.body.size() + bytes > kBytesMax) {
      transfer.is_too_large = true;
      return 0;
    }
    transfer.body.append(data, bytes);
    return bytes;
  }
  // The one place where a socket is made: for the address that is connected to next.
  static curl_socket_t OnSocket(void* self, curlsocktype, curl_sockaddr* address) {
    auto& transfer = *static_cast<Transfer*>(self);
    if (!transfer.policy->Allows(address->addr)) {
      transfer.is_forbidden = true;
      return CURL_SOCKET_BAD;
    }
    return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
  }

  // The thread serves all tenants, whatever becomes of one answer.
  void Answer(Result<std::string> outcome) const {
    (void)Catching("answering a fetch", [&]() -> Status {
      done(std::move(outcome));
      return {};
    });
  }

  // By a server of OAuth 2.0 (RFC 6749 section 5.2).
  std::unexpected<Error> Refused() const {
    const auto answer = nlohmann::json::parse(body, nullptr, false);
    const auto error = answer.is_object() ? answer.find("error") : answer.end();
    std::string word =
        answer.is_object() && error != answer.end() && error->is_string() ? error->get<std::string>() : "";
    const bool is_word = std::ranges::all_of(word, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
    if (word.empty() || word.size() > kErrorWordMax || !is_word) word = "no reason";
    return Fail(Code::kUnauthenticated, "FORM_REFUSED", fmt::format("{} refused: {}", url, word));
  }

  Result<std::string> Outcome(CURLcode code) {
    if (code != CURLE_OK && is_forbidden) {
      return Fail(Code::kFailedPrecondition, "ADDRESS_NOT_ALLOWED",
                  fmt::format("{} is at an address that the {} does not connect to: it is not public, and the "
                              "operator has not allowed it",
                              url, options->who));
    }
    if (code == CURLE_UNSUPPORTED_PROTOCOL) {
      return Fail(
          Code::kFailedPrecondition, "ADDRESS_NOT_ALLOWED",
          fmt::format("{} is not https; http is spoken with this machine's own addresses only, where the operator "
                      "allowed them ({})",
                      url, options->setting));
    }
    if (is_too_large) return Failed(url, fmt::format("it has more than {} bytes", kBytesMax));
    if (code != CURLE_OK) return Failed(url, curl_easy_strerror(code));
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (!request.form.empty() && (status == kBadRequest || status == kUnauthorized)) return Refused();
    const bool is_well = request.body.empty() ? status == kOk : status >= kOk && status < kRedirects;
    if (!is_well) return Failed(url, fmt::format("the answer is {}", status));
    return std::move(body);
  }
};

struct CurlFetcher::Curl {
  Curl() {
    static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    multi = ready ? curl_multi_init() : nullptr;
  }
  ~Curl() { curl_multi_cleanup(multi); }
  Curl(const Curl&) = delete;

  CURLM* multi = nullptr;
  std::map<CURL*, std::unique_ptr<Transfer>> running;  // the thread's only
};

CurlFetcher::CurlFetcher(AddressPolicy policy, Options options)
    : policy_(std::move(policy)),
      options_(std::move(options)),
      curl_(std::make_unique<Curl>()),
      thread_("fetches", [this](const std::stop_token& stop) { Loop(stop); }) {}

CurlFetcher::~CurlFetcher() { Stop(); }

void CurlFetcher::Stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
  }
  if (curl_->multi != nullptr) curl_multi_wakeup(curl_->multi);
  thread_.Stop();
}

void CurlFetcher::Fetch(FetchRequest request, Done done) {
  auto transfer = std::make_unique<Transfer>();
  transfer->url = request.url;
  transfer->request = std::move(request);
  transfer->done = std::move(done);
  transfer->policy = &policy_;
  transfer->options = &options_;
  bool is_full = false;
  {
    const std::scoped_lock lock(mutex_);
    is_full = waiting_.size() >= kWaitingMax;
    if (!stopped_ && curl_->multi != nullptr && !is_full) {
      waiting_.push_back(std::move(transfer));
      curl_multi_wakeup(curl_->multi);
      return;
    }
  }
  transfer->Answer(Failed(transfer->url, is_full ? "too many wait for their turn" : "it is stopping"));
}

void CurlFetcher::StartWaiting() {
  while (curl_->running.size() < kInFlightMax) {
    std::unique_ptr<Transfer> transfer;
    {
      const std::scoped_lock lock(mutex_);
      if (waiting_.empty()) return;
      transfer = std::move(waiting_.front());
      waiting_.pop_front();
    }
    const std::string_view host = HostOf(transfer->url);
    if (host.empty()) {
      transfer->Answer(Failed(transfer->url, "it does not name a host, or it names a user before it"));
      continue;
    }
    CURL* easy = curl_easy_init();
    if (easy == nullptr) {
      transfer->Answer(Failed(transfer->url, "out of memory"));
      continue;
    }
    transfer->easy = easy;
    const bool has_http = policy_.AllowsHttp(host);
    curl_easy_setopt(easy, CURLOPT_URL, transfer->url.c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, has_http ? "https,http" : "https");
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    // A name that does not resolve in time is left to its resolver thread: joined, it would hold up all other fetches.
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, ("allod-" + options_.who).c_str());
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
    const FetchRequest& request = transfer->request;
    const auto timeout = request.timeout.count() > 0 ? request.timeout : kTimeout;
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
    // A connection that was made for one name is used for no other.
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
    const std::string& posted = request.body.empty() ? request.form : request.body;
    if (!posted.empty()) {
      curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(posted.size()));
      curl_easy_setopt(easy, CURLOPT_POSTFIELDS, posted.c_str());
    }
    for (const std::string& header : request.headers) {
      transfer->headers = curl_slist_append(transfer->headers, header.c_str());
    }
    if (!request.authorization.empty()) {
      transfer->headers = curl_slist_append(transfer->headers, ("Authorization: " + request.authorization).c_str());
    }
    // A large body is sent at once, whether or not it will be taken.
    if (!request.body.empty()) transfer->headers = curl_slist_append(transfer->headers, "Expect:");
    if (transfer->headers != nullptr) curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer->headers);
    if (!options_.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, options_.ca_file.c_str());
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &Transfer::OnSocket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer.get());
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Transfer::OnData);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer.get());
    curl_multi_add_handle(curl_->multi, easy);
    curl_->running.emplace(easy, std::move(transfer));
  }
}

void CurlFetcher::FinishEnded() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(curl_->multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* easy = message->easy_handle;
    const CURLcode code = message->data.result;
    const auto found = curl_->running.find(easy);
    const std::unique_ptr<Transfer> transfer = std::move(found->second);
    curl_->running.erase(found);
    Result<std::string> outcome = transfer->Outcome(code);
    curl_multi_remove_handle(curl_->multi, easy);
    curl_easy_cleanup(easy);
    transfer->Answer(std::move(outcome));
  }
}

void CurlFetcher::FailAll() {
  for (auto& [easy, transfer] : std::exchange(curl_->running, {})) {
    curl_multi_remove_handle(curl_->multi, easy);
    curl_easy_cleanup(easy);
    transfer->Answer(Failed(transfer->url, "it is stopping"));
  }
  std::deque<std::unique_ptr<Transfer>> waiting;
  {
    const std::scoped_lock lock(mutex_);
    waiting.swap(waiting_);
  }
  for (const auto& transfer : waiting) transfer->Answer(Failed(transfer->url, "it is stopping"));
}

void CurlFetcher::Loop(const std::stop_token& stop) {
  if (curl_->multi == nullptr) return;
  while (!stop.stop_requested()) {
    StartWaiting();
    int running = 0;
    curl_multi_perform(curl_->multi, &running);
    FinishEnded();
    {
      const std::scoped_lock lock(mutex_);
      if (stopped_) break;
      // One that ended has made room.
      if (!waiting_.empty() && curl_->running.size() < kInFlightMax) continue;
    }
    curl_multi_poll(curl_->multi, nullptr, 0, kPollMs, nullptr);
  }
  FailAll();
}

}  // namespace allod
