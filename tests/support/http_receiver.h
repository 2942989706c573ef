// A small HTTP/1.1 server on loopback for tests of what posts to others: what each request is answered with is the
// test's to say, down to the bytes. A thread for each connection, one request on each.
#pragma once

#include <atomic>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "services/common/owned_fd.h"

namespace allod {

struct ReceivedRequest {
  std::string path;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

class HttpReceiver {
 public:
  // What is sent back, as it is; empty: nothing ever, until the receiver ends.
  using Answer = std::function<std::string(const ReceivedRequest&)>;
  explicit HttpReceiver(Answer answer);
  ~HttpReceiver();
  HttpReceiver(const HttpReceiver&) = delete;

  std::string url() const;  // "http://127.0.0.1:{port}/hook"
  static std::string Response(const std::string& status, const std::string& more_headers = "");

 private:
  void Accept();
  void Serve(const OwnedFd& client);

  const Answer answer_;
  OwnedFd listener_;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::list<OwnedFd> clients_;
  std::list<std::thread> threads_;
  std::thread accepting_;
};

}  // namespace allod
