/* What the plugin says to supervise-task, in the environment of the task. */
#ifndef SUPERVISE_TASK_H
#define SUPERVISE_TASK_H

#define TASK_PROGRAM "SUPERVISE_TASK_PROGRAM" /* path of supervise, or its name for PATH */
#define TASK_NAME    "SUPERVISE_TASK_NAME"    /* of the job, as supervise list has it */
#define TASK_RECORD  "SUPERVISE_TASK_RECORD"  /* path of the record, empty: none */
#define TASK_FLAGS   "SUPERVISE_TASK_FLAGS"   /* flags of supervise run, with blanks between */
#define TASK_COMMAND "SUPERVISE_TASK_COMMAND" /* the first word of the task's command line */

#endif
