/* notified.c - what systemd would hear: `process-notified SOCKET` makes it and prints each datagram as a line, with ; for line ends, until it is ended. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int argc, char **argv)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (argc != 2 || s < 0 || strlen(argv[1]) >= sizeof at.sun_path)
        return 64;
    memcpy(at.sun_path, argv[1], strlen(argv[1]));
    if (bind(s, (struct sockaddr *)&at, sizeof at) != 0) {
        perror(argv[1]);
        return 1;
    }
    for (;;) {
        char text[500];
        ssize_t n = recv(s, text, sizeof text, 0);
        if (n < 0)
            return 1;
        for (ssize_t i = 0; i < n; i++)
            putchar(text[i] == '\n' ? ';' : text[i]);
        putchar('\n');
        fflush(stdout);
    }
}
