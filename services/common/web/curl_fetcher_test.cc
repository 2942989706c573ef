// Against a server of the test's own on loopback.
#include "services/common/web/curl_fetcher.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <future>
#include <stdexcept>
#include <thread>

#include "services/common/owned_fd.h"

namespace allod::curl_fetcher_test {
namespace {

AddressPolicy OnLoopback() { return AddressPolicy({IpRange::Parse("network", "127.0.0.0/8").value()}); }

using namespace std::chrono_literals;

// Answers every connection with the same bytes, or with silence.
class TinyServer {
 public:
  explicit TinyServer(std::string answer) : answer_(std::move(answer)), listener_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(listener_.get(), 16), 0);
    socklen_t size = sizeof(address);
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  ~TinyServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  std::string url(const std::string& host = "127.0.0.1") const {
    return "http://" + host + ":" + std::to_string(port_) + "/x";
  }
  int connections() const { return connections_; }

 private:
  void Serve() {
    std::vector<OwnedFd> silent;
    for (;;) {
      OwnedFd client(::accept(listener_.get(), nullptr, nullptr));
      if (!client) return;
      ++connections_;
      if (answer_.empty()) {
        silent.push_back(std::move(client));
        continue;
      }
      char request[4096];
      (void)!::recv(client.get(), request, sizeof(request), 0);
      (void)!::send(client.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL);
    }
  }

  const std::string answer_;
  OwnedFd listener_;
  int port_ = 0;
  std::atomic<int> connections_ = 0;
  std::thread thread_;
};

std::string Answer(const std::string& body, const std::string& status = "200 OK", const std::string& more = "") {
  return "HTTP/1.1 " + status + "\r\ncontent-length: " + std::to_string(body.size()) + "\r\n" + more + "\r\n" + body;
}

Result<std::string> Get(CurlFetcher& fetcher, const std::string& url) {
  std::promise<Result<std::string>> promise;
  fetcher.Fetch({url}, [&](Result<std::string> body) { promise.set_value(std::move(body)); });
  return promise.get_future().get();
}

std::string WhyNot(CurlFetcher& fetcher, const std::string& url) {
  const auto body = Get(fetcher, url);
  return body ? "" : body.error().reason;
}

TEST(CurlFetcher, ReadsWhatTheOperatorAllows) {
  const TinyServer server(Answer("{}"));
  CurlFetcher fetcher(OnLoopback(), "");
  const auto body = Get(fetcher, server.url());
  ASSERT_TRUE(body) << body.error().message;
  EXPECT_EQ(*body, "{}");
}

TEST(CurlFetcher, ConnectsToNoAddressThatIsNotAllowedWhateverItsName) {
  const TinyServer server(Answer("{}"));
  CurlFetcher closed(AddressPolicy(), "");
  EXPECT_EQ(WhyNot(closed, server.url()), "ADDRESS_NOT_ALLOWED") << "no http at all";
  std::string https = server.url("localhost");
  https.replace(0, 4, "https");
  EXPECT_EQ(WhyNot(closed, https), "ADDRESS_NOT_ALLOWED") << "by name";
  https = server.url();
  https.replace(0, 4, "https");
  EXPECT_EQ(WhyNot(closed, https), "ADDRESS_NOT_ALLOWED");
  for (const char* host : {"0x7f000001", "2130706433", "127.1", "[::ffff:127.0.0.1]", "0"}) {
    https = server.url(host);
    https.replace(0, 4, "https");
    EXPECT_NE(WhyNot(closed, https), "") << host;
  }
  EXPECT_EQ(WhyNot(closed, "file:///etc/passwd"), "FETCH_FAILED");
  EXPECT_EQ(server.connections(), 0);
  CurlFetcher open(OnLoopback(), "");
  EXPECT_EQ(WhyNot(open, "file:///etc/passwd"), "FETCH_FAILED");
  EXPECT_EQ(WhyNot(open, "http://8.8.8.8/"), "ADDRESS_NOT_ALLOWED") << "http is for loopback";
}

TEST(CurlFetcher, TakesNoUserBeforeAHost) {
  const TinyServer server(Answer("{}"));
  CurlFetcher fetcher(OnLoopback(), "");
  ASSERT_EQ(WhyNot(fetcher, server.url()), "");
  for (const char* user : {"user@", "user:secret@", "localhost:1@", "localhost\\@", "@", "a@b@"}) {
    EXPECT_EQ(WhyNot(fetcher, server.url(std::string(user) + "127.0.0.1")), "FETCH_FAILED") << user;
  }
  for (const char* slashes : {"/", "///"}) {
    std::string url = server.url("localhost@127.0.0.1");
    url.replace(url.find("//"), 2, slashes);
    EXPECT_EQ(WhyNot(fetcher, url), "FETCH_FAILED") << url;
  }
  EXPECT_EQ(server.connections(), 1);
  EXPECT_EQ(WhyNot(fetcher, server.url() + "?a=b@c"), "") << "elsewhere it is a character";
}

TEST(CurlFetcher, ServesOthersWhenAnAnswerIsNotTakenWell) {
  const TinyServer server(Answer("{}"));
  CurlFetcher fetcher(OnLoopback(), "");
  const auto throws = [](const Result<std::string>&) { throw std::runtime_error("of one tenant"); };
  fetcher.Fetch({server.url()}, throws);
  fetcher.Fetch({"no URL"}, throws);
  EXPECT_EQ(WhyNot(fetcher, server.url()), "");
  fetcher.Stop();
  fetcher.Fetch({server.url()}, throws);
}

TEST(CurlFetcher, FollowsNoRedirect) {
  const TinyServer inside(Answer("{}"));
  const TinyServer server(Answer("", "302 Found", "location: " + inside.url() + "\r\n"));
  CurlFetcher fetcher(OnLoopback(), "");
  EXPECT_EQ(WhyNot(fetcher, server.url()), "FETCH_FAILED");
  EXPECT_EQ(inside.connections(), 0);
}

TEST(CurlFetcher, TakesNoMoreThanItMay) {
  const TinyServer large(Answer(std::string(CurlFetcher::kBytesMax + 1, 'x')));
  const TinyServer fits(Answer(std::string(CurlFetcher::kBytesMax, 'x')));
  const TinyServer missing(Answer("{}", "404 Not Found"));
  CurlFetcher fetcher(OnLoopback(), "");
  EXPECT_EQ(WhyNot(fetcher, large.url()), "FETCH_FAILED");
  EXPECT_EQ(WhyNot(fetcher, fits.url()), "");
  EXPECT_EQ(WhyNot(fetcher, missing.url()), "FETCH_FAILED");
}

TEST(CurlFetcher, WaitsForNobodyLongAndServesOthersMeanwhile) {
  const TinyServer silent("");
  const TinyServer server(Answer("{}"));
  CurlFetcher fetcher(OnLoopback(), "");
  const auto began = std::chrono::steady_clock::now();
  std::promise<Result<std::string>> slow;
  fetcher.Fetch({silent.url()}, [&](Result<std::string> body) { slow.set_value(std::move(body)); });
  EXPECT_EQ(WhyNot(fetcher, server.url()), "");
  EXPECT_LT(std::chrono::steady_clock::now() - began, CurlFetcher::kTimeout / 2);
  EXPECT_FALSE(slow.get_future().get());
  EXPECT_LT(std::chrono::steady_clock::now() - began, 2 * CurlFetcher::kTimeout);
}

TEST(CurlFetcher, AnswersEverybodyWhenItStops) {
  const TinyServer silent("");
  CurlFetcher fetcher(OnLoopback(), "");
  std::atomic<int> answers = 0;
  for (int i = 0; i < 20; ++i) fetcher.Fetch({silent.url()}, [&](const Result<std::string>&) { ++answers; });
  fetcher.Stop();
  EXPECT_EQ(answers, 20);
  fetcher.Fetch({silent.url()}, [&](const Result<std::string>&) { ++answers; });
  EXPECT_EQ(answers, 21);
}

}  // namespace
}  // namespace allod::curl_fetcher_test
