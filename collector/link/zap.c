#include "collector/link/zap.h"

#include <stdint.h>
#include <string.h>
#include <zmq.h>

#include "common/keys.h"

/* The frames of a request; what follows the credentials is ignored. */
enum { VERSION, REQUEST_ID, DOMAIN, ADDRESS, IDENTITY, MECHANISM, CREDENTIALS, FRAME_COUNT };
#define FRAME_BYTES_MAX 255

struct request {
    uint8_t frames[FRAME_COUNT][FRAME_BYTES_MAX + 1]; /* NUL behind each, for those that are text */
    size_t sizes[FRAME_COUNT];
};

void *zap_bind(void *zmq, struct error *err)
{
    void *socket = zmq_socket(zmq, ZMQ_REP);
    int linger = 0;
    if (socket != NULL && zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger) == 0 &&
        zmq_bind(socket, "inproc://zeromq.zap.01") == 0)
        return socket;
    fail(err, ERROR_IO, "bind the authentication handler: %s", zmq_strerror(zmq_errno()));
    if (socket != NULL) zmq_close(socket);
    return NULL;
}

/* False if nothing waits. A frame that is too long is cut: no key or domain is that long. */
static bool receive(void *socket, struct request *request)
{
    memset(request, 0, sizeof *request);
    int more = 1;
    for (size_t i = 0; more; i++) {
        uint8_t rest[1];
        uint8_t *into = i < FRAME_COUNT ? request->frames[i] : rest;
        size_t room = i < FRAME_COUNT ? FRAME_BYTES_MAX : sizeof rest;
        int size = zmq_recv(socket, into, room, ZMQ_DONTWAIT);
        if (size < 0) return false;
        if (i < FRAME_COUNT) request->sizes[i] = (size_t)size < room ? (size_t)size : room;
        size_t option_size = sizeof more;
        if (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &option_size) != 0) return false;
    }
    return true;
}

static bool text_is(const struct request *request, size_t frame, const char *text)
{
    return request->sizes[frame] == strlen(text) && memcmp(request->frames[frame], text, strlen(text)) == 0;
}

bool zap_answer(void *socket, zap_admit *admit, void *owner)
{
    struct request request;
    if (!receive(socket, &request)) return false;
    char key[KEYS_TEXT_SIZE] = "";
    bool admitted = text_is(&request, VERSION, "1.0") && text_is(&request, DOMAIN, ZAP_DOMAIN) &&
                    text_is(&request, MECHANISM, "CURVE") && request.sizes[CREDENTIALS] == 32 &&
                    zmq_z85_encode(key, request.frames[CREDENTIALS], 32) != NULL &&
                    admit(owner, key, (const char *)request.frames[ADDRESS]);
    const char *user = admitted ? key : "";
    zmq_send(socket, "1.0", 3, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket, request.frames[REQUEST_ID], request.sizes[REQUEST_ID], ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket, admitted ? "200" : "400", 3, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket, "", 0, ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket, user, strlen(user), ZMQ_SNDMORE | ZMQ_DONTWAIT);
    zmq_send(socket, "", 0, ZMQ_DONTWAIT);
    return true;
}
